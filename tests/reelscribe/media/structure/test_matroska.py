"""Matroska: which DURATION tags count."""

import struct

import pytest

from tests.reelscribe.media.structure.conftest import Make, Read


def with_tag(make: Make, name: str, value: str) -> bytes:
    return make("a.mka", "-c:a", "libopus", "-metadata:s:a:0", f"{name}={value}").read_bytes()


def test_a_tag_that_a_copy_left_behind_does_not_count(make: Make, structure: Read) -> None:
    content = with_tag(make, "DURATION-eng", "00:00:30.000000000")
    assert b"00:00:30.000" in content
    assert [track.seconds for track in structure(content).audio or ()] == [pytest.approx(3.0, abs=0.06)]


@pytest.mark.parametrize("stated", ["00:00:30.000000000", "00:00:01.000000000"])
def test_tags_of_another_writer_count_only_if_they_fit_the_segment(stated: str, make: Make, structure: Read) -> None:
    content = with_tag(make, "DURATION-eng", stated).replace(b"Lavf", b"Xavf")
    [track] = structure(content).audio or ()
    assert track.seconds == pytest.approx(3.0, abs=0.06)


def test_statistics_of_another_writer_do_not_count(make: Make, structure: Read) -> None:
    content = make(
        "p.mkv", "-c:a", "libopus", "-metadata:s:a:0", "_STATISTICS_WRITING_APP=mkvmerge v9", picture=True
    ).read_bytes()
    [track] = structure(content.replace(b"Lavf", b"Xavf")).audio or ()
    assert track.seconds is None
    [track] = structure(content).audio or ()
    assert track.seconds == pytest.approx(3.0, abs=0.06)


def test_a_file_without_cues_is_not_seekable(make: Make, structure: Read) -> None:
    content = make("a.mka", "-c:a", "libopus").read_bytes()
    assert structure(content).seekable
    assert not structure(content.replace(b"\x1c\x53\xbb\x6b", b"\x1c\x53\xbb\x6c")).seekable


def element(kind: int, *content: bytes) -> bytes:
    joined = b"".join(content)
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + (1 << 56 | len(joined)).to_bytes(8, "big") + joined


def number(kind: int, value: int) -> bytes:
    return element(kind, value.to_bytes(4, "big"))


def segment(seconds: float, writer: str, starts: dict[int, int], *sound: bytes, tag: str | None = None) -> bytes:
    """Of tracks that begin at so many milliseconds: 1 is the sound, with these elements, and 2 the picture."""
    kinds = {1: (number(0x83, 2), element(0x86, b"A_OPUS"), *sound), 2: (number(0x83, 1), element(0x86, b"V_VP8"))}
    info = (
        element(0x4D80, b"libmatroska"),
        element(0x5741, writer.encode()),
        element(0x4489, struct.pack(">d", seconds)),
    )
    tracks = (element(0xAE, number(0xD7, track), number(0x73C5, track), *kinds[track]) for track in sorted(starts))
    named = {"DURATION": tag, "_STATISTICS_WRITING_APP": writer} if tag else {}
    texts = (
        element(0x67C8, element(0x45A3, name.encode()), element(0x4487, text.encode())) for name, text in named.items()
    )
    return element(0x1A45DFA3) + element(
        0x18538067,
        element(0x1549A966, number(0x2AD7B1, 1_000_000_000), *info),
        element(0x1654AE6B, *tracks),
        element(0x1254C367, element(0x7373, element(0x63C0, number(0x63C5, 1)), *texts)),
        *(
            element(0x1F43B675, number(0xE7, start), element(0xA3, bytes((0x80 | track, 0, 0, 0x80))))
            for track, start in sorted(starts.items(), key=lambda one: one[1])
        ),
    )


def test_mkvmerge_counts_a_track_from_its_own_beginning(structure: Read) -> None:
    content = segment(14, "mkvmerge v74", {2: 0, 1: 2}, tag="00:00:12.000000000")
    [track] = structure(content).audio or ()
    assert track.seconds == 14.0


@pytest.mark.parametrize(("writer", "stated"), [("mkvmerge v74", 5.0), ("Lavf61", 11.0), ("other", 11.0)])
def test_a_part_that_keeps_its_times_is_as_long_as_its_writer_means(
    writer: str, stated: float, structure: Read
) -> None:
    """``mkvmerge --split … --link``; a length that is before the beginning can only be counted from there."""
    found = structure(segment(stated, writer, {1: 6}))
    assert (found.seconds, [track.seconds for track in found.audio or ()]) == (5.0, [5.0])


@pytest.mark.parametrize(("encoding", "encrypted"), [(0x5035, True), (0x5034, False)])
def test_a_track_may_be_encrypted_or_only_compressed(encoding: int, encrypted: bool, structure: Read) -> None:
    content = segment(5, "mkvmerge v74", {1: 0}, element(0x6D80, element(0x6240, element(encoding))))
    assert [track.encrypted for track in structure(content).audio or ()] == [encrypted]
