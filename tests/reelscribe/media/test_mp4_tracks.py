"""The length of each track of an MP4, read from its boxes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reelscribe.media.mp4_tracks import track_seconds
from tests.reelscribe.media.files import ask

Make = Callable[..., Path]


def lengths(path: Path) -> dict[int, float]:
    return ask(path, track_seconds)


def test_picture_and_sound_have_their_own_lengths(tmp_path: Path, make_video: Make) -> None:
    assert lengths(make_video(tmp_path / "a.mp4", seconds=20)) == {
        0: pytest.approx(20, abs=0.1),
        1: pytest.approx(7.5, abs=0.1),
    }


def test_an_index_at_the_end_is_found(tmp_path: Path, make_video: Make) -> None:
    path = make_video(tmp_path / "a.mp4", "short.flac", "-movflags", "0")
    data = path.read_bytes()
    assert data.index(b"moov") > data.index(b"mdat")
    assert lengths(path)[1] == pytest.approx(7.5, abs=0.1)


def test_a_fragmented_file_declares_nothing(tmp_path: Path, make_video: Make) -> None:
    path = make_video(tmp_path / "a.mp4", "short.flac", "-movflags", "frag_keyframe+empty_moov")
    assert lengths(path) == {}


def test_other_containers_have_no_such_boxes(tmp_path: Path, make_video: Make) -> None:
    assert lengths(make_video(tmp_path / "a.mkv")) == {}


def test_every_truncation_and_any_garbage_is_survived(tmp_path: Path, make_video: Make) -> None:
    whole = make_video(tmp_path / "a.mp4").read_bytes()
    moov = whole.index(b"moov")
    stump = tmp_path / "stump.mp4"
    for length in (*range(0, 64), *range(moov, moov + 600, 7)):
        stump.write_bytes(whole[:length])
        lengths(stump)
    for value in (0, 1, 0xFF):
        stump.write_bytes(whole[: moov + 4] + bytes([value]) * 200)
        lengths(stump)
