"""MP4: where its boxes end, and what edit lists and fragments say."""

import re
import struct

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


def test_a_fragment_of_which_only_the_header_has_begun_is_a_cut(make: Make, structure: Read) -> None:
    content = make("a.mp4", *FRAGMENTS).read_bytes()
    last = fragments(content)[-1]
    end = last + int.from_bytes(content[last : last + 4], "big")
    before = structure(content[:last])
    assert before.cut is None
    for kept in range(last + 8, end):
        found = structure(content[:kept])
        assert (found.container, found.seconds) == ("fragmented mp4", before.seconds), kept
        assert found.cut and found.cut.startswith(f"the moof box at byte {last:,} should end at byte {end:,}"), kept


def test_fragments_of_a_live_stream_are_counted_from_the_first(make: Make, structure: Read) -> None:
    content = make("a.mp4", *FRAGMENTS).read_bytes()
    starts = fragments(content)
    found = structure(content[: starts[0]] + content[starts[5] :])
    assert found.seconds == pytest.approx(1.5, abs=0.25)


def with_edits(content: bytes, *edits: tuple[float, float]) -> bytes:
    """The file with another edit list: length and first second of the media of each edit, -1 for silence."""
    shown, scale = (struct.unpack_from(">I", content, content.index(kind) + 16)[0] for kind in (b"mvhd", b"mdhd"))
    entries = [
        struct.pack(">IiI", round(shown * seconds), -1 if first < 0 else round(scale * first), 1 << 16)
        for seconds, first in edits
    ]
    at = content.index(b"elst") - 4
    (size,) = struct.unpack_from(">I", content, at)
    table = box(b"elst", bytes(4) + struct.pack(">I", len(entries)) + b"".join(entries))
    changed = bytearray(content[:at] + table + content[at + size :])
    for kind in (b"moov", b"trak", b"edts"):
        start = changed.index(kind) - 4
        (old,) = struct.unpack_from(">I", changed, start)
        struct.pack_into(">I", changed, start, old + len(table) - size)
    return bytes(changed)


@pytest.mark.parametrize(
    ("edits", "gap", "skips"),
    [
        ([(3.0, 0.0)], None, False),
        ([(0.5, -1), (1.0, 0.0), (1.0, 1.0)], None, False),
        ([(1.0, 0.0), (1.0, 2.0)], None, True),
        ([(1.0, 2.0), (1.0, 0.0)], None, True),
        ([(1.0, 0.0), (0.5, -1), (1.0, 1.0)], 1.0, False),
    ],
    ids=["one", "late", "skipping", "back", "with silence in between"],
)
def test_what_ffmpeg_does_not_play_as_an_edit_list_says_is_known(
    edits: list[tuple[float, float]], gap: float | None, skips: bool, make: Make, structure: Read
) -> None:
    found = structure(with_edits(make("a.mp4", "-c:a", "aac").read_bytes(), *edits))
    assert found.audio
    assert (found.audio[0].edit_gap, found.audio[0].edits_skip) == (gap, skips)


@pytest.mark.parametrize(
    ("speeds", "changes"),
    [((1.0, 1.0), None), ((1.0, 2.0), 1.0), ((0.0, 1.0), 0.0), ((0.5, 0.5), 0.0), ((0.0, 0.0), None)],
)
def test_edits_of_another_speed_are_known_unless_no_edit_states_one(
    speeds: tuple[float, float], changes: float | None, make: Make, structure: Read
) -> None:
    content = bytearray(with_edits(make("a.mp4", "-c:a", "aac").read_bytes(), (1.0, 0.0), (1.0, 1.0)))
    first = content.index(b"elst") + 12
    for number, speed in enumerate(speeds):
        struct.pack_into(">I", content, first + 12 * number + 8, round(speed * 65_536))
    [track] = structure(bytes(content)).audio or ()
    assert track.edit_speed == changes


def test_only_a_track_with_one_edit_is_sought(make: Make, structure: Read) -> None:
    content = make("a.mp4", "-c:a", "aac").read_bytes()
    assert structure(content).seekable
    assert not structure(with_edits(content, (1.0, 0.0), (1.0, 2.0))).seekable


def test_a_header_that_states_more_than_the_samples_last_is_not_believed(make: Make, structure: Read) -> None:
    content = bytearray(make("a.mp4", "-c:a", "aac").read_bytes().replace(b"edts", b"free"))
    for kind, length_at, scaled_by in ((b"mdhd", 20, b"mdhd"), (b"tkhd", 24, b"mvhd")):
        (scale,) = struct.unpack_from(">I", content, content.index(scaled_by) + 16)
        struct.pack_into(">I", content, content.index(kind) + length_at, 40 * scale)
    [track] = structure(bytes(content)).audio or ()
    assert track.seconds == pytest.approx(3.0, abs=0.06)


def test_fragments_that_follow_the_samples_of_the_index_count_from_those(make: Make, structure: Read) -> None:
    """As recorders write it that were not stopped by force."""
    content = make("p.mp4", "-c:a", "aac", "-c:v", "mpeg4", "-g", "25", "-movflags", "frag_keyframe", picture=True)
    found = structure(content)
    assert (found.container, [track.seconds for track in found.audio or ()]) == (
        "fragmented mp4",
        [pytest.approx(3.0, abs=0.06)],
    )


@pytest.mark.parametrize(
    ("name", "options", "counts"),
    [
        ("a.mp4", ("-c:a", "aac"), True),
        ("a.mp4", ("-c:a", "libopus"), True),
        ("a.mov", ("-c:a", "pcm_s16le"), True),
        ("a.mp4", ("-c:a", "aac", "-bsf:a", "setts=ts=TS*0.99"), False),
    ],
)
def test_a_clock_that_may_be_slower_than_the_samples_is_known(
    name: str, options: tuple[str, ...], counts: bool, make: Make, structure: Read
) -> None:
    found = structure(make(name, *options).read_bytes())
    assert found.audio and found.audio[0].counts_samples is counts
