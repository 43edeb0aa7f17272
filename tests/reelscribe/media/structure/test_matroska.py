"""Matroska: which DURATION tags count."""

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
