"""Frames without a container: where they begin and end, and what the first frame of an MP3 states."""

import pytest

from tests.reelscribe.media.structure.conftest import Make, Read
from tests.reelscribe.media.structure.test_table import CASES

PLAIN_MP3 = ("-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0")


@pytest.mark.parametrize(("name", "options"), [("a.mp3", PLAIN_MP3), ("a.aac", ("-c:a", "aac"))])
def test_a_capture_may_begin_within_a_frame(name: str, options: tuple[str, ...], make: Make, structure: Read) -> None:
    content = make(name, *options).read_bytes()
    for begin in (1, 100, 150):
        found = structure(content[begin:])
        assert (found.container, found.cut) == (name[2:], None)
        assert structure(content[begin:-5]).cut


def test_adts_whose_sample_rate_changes_is_joined(make: Make, structure: Read) -> None:
    first, second = (make(f"{rate}.aac", "-c:a", "aac", "-ar", f"{rate}").read_bytes() for rate in (44_100, 48_000))
    assert not structure(first + first).joined
    assert structure(first + second).joined
    assert structure(20 * first + second).joined
    assert structure(first + second + first).joined


@pytest.mark.parametrize("after", [b"TAG" + bytes(125), bytes(500), b"APETAGEX" + bytes(4) + b"\x20" + bytes(19)])
def test_tags_after_the_last_frame_are_no_cut(after: bytes, make: Make, structure: Read) -> None:
    for options in (PLAIN_MP3, ("-c:a", "libmp3lame")):
        content = make("a.mp3", *options).read_bytes()
        assert structure(content + after).cut is None
        assert structure(content[:-9] + after[: 128 if after.startswith(b"TAG") else 0]).cut


def test_the_first_frame_of_an_mp3_states_its_bytes(make: Make, structure: Read) -> None:
    content = make("a.mp3", "-c:a", "libmp3lame", "-b:a", "128k").read_bytes()
    half = structure(content[: len(content) // 2])
    assert half.cut and "the header declares" in half.cut
    assert half.seconds == pytest.approx(3.0, abs=0.06)


def test_frames_of_amr_are_followed_from_the_start(structure: Read) -> None:
    content = (CASES / "14-dtx.amr").read_bytes()
    assert structure(content).cut is None
    assert structure(content[: content.index(b"\x3c") + 10]).cut


@pytest.mark.parametrize("content", [b"", b"O", b"ID3" + bytes(500), b"text " * 2000, bytes(9000), b"\xff" * 9000])
def test_other_files_have_no_structure(content: bytes, structure: Read) -> None:
    found = structure(content)
    assert (found.container, found.audio, found.seconds, found.cut, found.seekable) == (
        "unknown",
        None,
        None,
        None,
        False,
    )
