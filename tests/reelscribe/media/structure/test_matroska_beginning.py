"""When a Matroska recording begins, if that is with its pictures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.matroska_beginning import begins_with_pictures
from tests.reelscribe.media.files import ask
from tests.reelscribe.media.structure.conftest import Make

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "flac")


def beginning(path: Path) -> float | None:
    return ask(path, lambda stored: begins_with_pictures(Bytes(stored)))


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        ((), 0.0),
        (("-live", "1"), 0.0),
        (("-output_ts_offset", "100"), 100.0),
        (("-live", "1", "-output_ts_offset", "100"), 100.0),
        (("-c:v", "libvpx"), 0.0),
    ],
    ids=["late sound", "sizes unknown", "a clock that begins later", "both", "another codec"],
)
def test_it_begins_with_the_picture_if_the_sound_is_late(make: Make, options: tuple[str, ...], begins: float) -> None:
    assert beginning(make("a.mkv", *H264, *options, picture=True, late=True)) == pytest.approx(begins, abs=0.001)


@pytest.mark.parametrize("picture", [True, False], ids=["both begin together", "sound alone"])
def test_sound_that_is_not_late_is_the_beginning(make: Make, picture: bool) -> None:
    assert beginning(make("a.mkv", *H264, picture=picture)) is None


def test_what_is_shown_as_text_a_little_before_counts(
    tmp_path: Path, make: Make, run_ffmpeg: Callable[..., None]
) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:00,400 --> 00:00:03,000\ntext\n")
    late = make("a.mkv", *H264, "-output_ts_offset", "1", picture=True, late=True)
    inputs = ("-copyts", "-i", late, "-i", tmp_path / "a.srt", "-map", "0", "-map", "1")
    run_ffmpeg(*inputs, "-c", "copy", "-c:s", "srt", tmp_path / "b.mkv")
    assert beginning(late) == pytest.approx(1.0)
    assert beginning(tmp_path / "b.mkv") == pytest.approx(0.4)


def test_a_file_that_is_cut_or_damaged_anywhere_is_read_without_an_error(tmp_path: Path, make: Make) -> None:
    content = make("a.mkv", *H264, picture=True, late=True).read_bytes()
    head = content.index(b"\x1f\x43\xb6\x75") + 100
    for at in range(0, head, 7):
        (tmp_path / "cut").write_bytes(content[:at])
        assert beginning(tmp_path / "cut") in (None, 0.0)
        (tmp_path / "damaged").write_bytes(content[:at] + b"\xff\x01\x00" + content[at + 3 : 8 * head])
        beginning(tmp_path / "damaged")
