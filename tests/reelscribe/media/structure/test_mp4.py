"""MP4: where its boxes end, and what edit lists and fragments say."""

import re

import pytest

from tests.reelscribe.media.structure.conftest import Make, Read, box

FASTSTART = ("-c:a", "aac", "-movflags", "faststart")
FRAGMENTS = ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "300000")


def fragments(content: bytes) -> list[int]:
    """Where each begins."""
    return [found.start() - 4 for found in re.finditer(b"moof", content)]


@pytest.mark.parametrize("after", [b"\0", bytes(5_000), b"junk" * 20, b"\0\0\0\x08free", box(b"uuid", bytes(40))[:-9]])
def test_what_players_skip_at_the_end_is_no_cut(after: bytes, make: Make, structure: Read) -> None:
    for options in (FASTSTART, FRAGMENTS):
        found = structure(make("a.mp4", *options).read_bytes() + after)
        assert (found.cut, found.seconds) == (None, pytest.approx(3.0, abs=0.06))


def test_a_box_of_length_0_runs_to_the_end(make: Make, structure: Read) -> None:
    content = bytearray(make("a.mp4", *FASTSTART).read_bytes())
    at = content.rindex(b"mdat")
    content[at - 4 : at] = bytes(4)
    assert structure(bytes(content)).cut is None


def test_without_an_index_there_is_nothing_to_read(make: Make, structure: Read) -> None:
    content = make("a.mp4", "-c:a", "aac").read_bytes()
    found = structure(content[: content.index(b"moov") - 4])
    assert (found.cut, found.audio, found.seconds) == ("it has no index (no moov box)", None, None)


def test_an_index_that_is_cut_gives_what_is_left(make: Make, structure: Read) -> None:
    content = make("a.mp4", "-c:a", "aac").read_bytes()
    moov = content.index(b"moov")
    for kept in range(moov + 4, len(content), 7):
        assert structure(content[:kept]).cut


def test_the_last_fragment_says_where_the_sound_ends(make: Make, structure: Read) -> None:
    content = make("a.mp4", *FRAGMENTS).read_bytes()
    found = structure(content[: fragments(content)[-3]])
    assert found.seconds is not None and 2.4 < found.seconds < 3.0
    assert [track.seconds for track in found.audio or ()] == [found.seconds]


def test_fragments_of_a_live_stream_are_counted_from_the_first(make: Make, structure: Read) -> None:
    content = make("a.mp4", *FRAGMENTS).read_bytes()
    starts = fragments(content)
    found = structure(content[: starts[0]] + content[starts[5] :])
    assert found.seconds == pytest.approx(1.5, abs=0.25)
