"""What each container declares of 3 s of sound: alone, shorter than its picture, late; and whether a cut shows."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.reelscribe.media.structure.conftest import Make, Read


@dataclass(frozen=True)
class Row:
    """``seconds`` is None if the container states no length.

    ``cuts`` has a letter for a cut at 10, 50 and 90 %: ``c`` if it shows, ``-`` if it cannot be known.
    """

    name: str
    options: tuple[str, ...]
    container: str
    seconds: float | None = 3.0
    cuts: str = "ccc"
    seekable: bool = False
    tolerance: float = 0.06


ROWS = [
    Row("a.mp4", ("-c:a", "aac"), "mp4", seekable=True),
    Row("start.mp4", ("-c:a", "aac", "-movflags", "faststart"), "mp4", seekable=True),
    Row("a.mov", ("-c:a", "pcm_s16le"), "mp4", seekable=True),
    Row("a.m4a", ("-c:a", "alac"), "mp4", seekable=True),
    Row("a.mp4", ("-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000"), "fragmented mp4"),
    Row("a.mp4", ("-movflags", "dash", "-frag_duration", "500000"), "fragmented mp4"),
    Row("a.mkv", ("-c:a", "aac"), "matroska", seekable=True),
    Row("a.mka", ("-c:a", "libvorbis"), "matroska", seekable=True),
    Row("a.webm", ("-c:a", "libopus"), "matroska", seekable=True),
    Row("a.webm", ("-c:a", "libopus", "-live", "1"), "matroska", None),
    Row("a.ogg", ("-c:a", "libvorbis"), "ogg", seekable=True),
    Row("a.opus", ("-c:a", "libopus"), "ogg", seekable=True),
    Row("a.oga", ("-c:a", "flac"), "ogg"),
    Row("a.wav", ("-c:a", "pcm_s16le"), "wav", seekable=True),
    Row("a.wav", ("-c:a", "pcm_f32le"), "wav", seekable=True),
    Row("a.wav", ("-c:a", "pcm_alaw"), "wav", seekable=True),
    Row("a.wav", ("-c:a", "adpcm_ms"), "wav"),
    Row("a.wav", ("-c:a", "adpcm_ima_wav"), "wav"),
    Row("a.wav", ("-c:a", "libmp3lame"), "wav"),
    Row("rf64.wav", ("-rf64", "always"), "wav", seekable=True),
    Row("a.w64", ("-c:a", "pcm_s16le"), "w64", seekable=True),
    Row("a.avi", ("-c:a", "libmp3lame"), "avi", seekable=True),
    Row("a.avi", ("-c:a", "pcm_s16le"), "avi", seekable=True),
    Row("a.wma", ("-c:a", "wmav2"), "asf", seekable=True),
    Row("a.flac", ("-c:a", "flac"), "flac", seekable=True),
    Row("a.ts", ("-c:a", "aac"), "mpegts", None),
    Row("a.m2ts", ("-c:a", "ac3"), "mpegts", None),
    Row("a.mpg", ("-c:a", "mp2"), "mpeg", None),
    Row("a.vob", ("-c:a", "ac3"), "mpeg", None),
    Row("a.flv", ("-c:a", "aac"), "flv"),
    Row("a.nut", ("-c:a", "libopus"), "nut"),
    Row("a.nut", ("-c:a", "pcm_s16le"), "nut"),
    Row("a.rm", ("-c:a", "ac3"), "rm"),
    Row("a.aiff", ("-c:a", "pcm_s16be"), "aiff", seekable=True),
    Row("a.aiff", ("-c:a", "pcm_mulaw"), "aiff", seekable=True),
    Row("a.caf", ("-c:a", "pcm_s16le"), "caf", seekable=True),
    Row("a.caf", ("-c:a", "alac"), "caf", seekable=True, tolerance=0.1),
    Row("a.au", ("-c:a", "pcm_mulaw"), "au", seekable=True),
    Row("a.voc", ("-c:a", "pcm_u8", "-ar", "20000"), "voc"),
    Row("a.tta", ("-c:a", "tta"), "tta", seekable=True),
    Row("a.wv", ("-c:a", "wavpack"), "wavpack", seekable=True),
    Row("a.mp3", ("-c:a", "libmp3lame"), "mp3"),
    Row("a.mp3", ("-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0"), "mp3", None),
    Row("a.mp2", ("-c:a", "mp2"), "mp3", None),
    Row("a.aac", ("-c:a", "aac"), "aac", None),
    Row("a.ac3", ("-c:a", "ac3"), "ac3", None),
    Row("a.eac3", ("-c:a", "eac3"), "ac3", None),
    Row("a.dts", ("-c:a", "dca", "-strict", "-2"), "dts", None),
]
ALONE = [pytest.param(row, id=f"{row.name} {' '.join(row.options)}") for row in ROWS]

WITH_PICTURE = [
    Row("p.mp4", ("-c:a", "aac"), "mp4"),
    Row("p.mov", ("-c:a", "pcm_s16le"), "mp4"),
    Row("p.mkv", ("-c:a", "aac"), "matroska"),
    Row("p.webm", ("-c:a", "libopus"), "matroska"),
    Row("p.ogv", ("-c:a", "libvorbis", "-c:v", "libtheora"), "ogg"),
    Row("p.avi", ("-c:a", "libmp3lame"), "avi", tolerance=0.1),
    Row("p.wmv", ("-c:a", "wmav2", "-c:v", "wmv2"), "asf", None, tolerance=0.1),
    Row("p.ts", ("-c:a", "aac"), "mpegts", None),
    Row("p.nut", ("-c:a", "libopus"), "nut", None, tolerance=0.1),
]
PICTURES = [pytest.param(row, id=row.name) for row in WITH_PICTURE]


@pytest.mark.parametrize("row", ALONE)
def test_an_intact_recording_has_the_length_that_it_declares(row: Row, make: Make, structure: Read) -> None:
    found = structure(make(row.name, *row.options))
    assert (found.container, found.cut, found.seekable) == (row.container, None, row.seekable)
    expected = None if row.seconds is None else pytest.approx(row.seconds, abs=row.tolerance)
    assert found.seconds == expected
    if found.audio is not None:
        assert [(track.index, track.seconds) for track in found.audio] == [(0, expected)]


@pytest.mark.parametrize("row", ALONE)
def test_a_cut_shows_in_what_is_left(row: Row, make: Make, structure: Read) -> None:
    """At two lengths close to each other, for one of them may be the end of a packet, which shows nothing."""
    content = make(row.name, *row.options).read_bytes()
    ends = [[len(content) * share // 100 + more for more in (0, 97)] for share in (10, 50, 90)]
    shown = [any(structure(content[:end]).cut for end in pair) for pair in ends]
    assert "".join("c" if cut else "-" for cut in shown) == row.cuts


@pytest.mark.parametrize("row", PICTURES)
def test_sound_ends_before_a_longer_picture(row: Row, make: Make, structure: Read) -> None:
    found = structure(make(row.name, *row.options, picture=True))
    assert found.cut is None
    assert found.audio and found.audio[0].index == 1 and len(found.audio) == 1
    expected = None if row.seconds is None else pytest.approx(3.0, abs=row.tolerance)
    assert found.audio[0].seconds == expected
    assert found.seconds == (None if row.container == "mpegts" else pytest.approx(5.0, abs=row.tolerance))


@pytest.mark.parametrize("row", PICTURES)
def test_sound_that_begins_late_ends_late(row: Row, make: Make, structure: Read) -> None:
    found = structure(make(row.name, *row.options, picture=True, late=True))
    assert found.audio and found.audio[0].index == 1
    expected = None if row.seconds is None else pytest.approx(7.0, abs=row.tolerance)
    assert found.audio[0].seconds == expected
    assert found.seconds == (None if row.container == "mpegts" else pytest.approx(7.0, abs=row.tolerance))


CASES = Path(__file__).parents[3] / "cases"


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("03-comment-duration-dots.opus", 5.0),
        ("04-cut-gsm.wav", 20.0),
        ("05-comment-duration.opus", 5.0),
        ("05-stale-duration-tag.opus", 5.0),
        ("06-pt-BR-sound-shorter.mkv", 5.0),
        ("06-sound-shorter.wmv", None),
        ("11-arecord-pipe-80000000.wav", None),
        ("11-byte-rate-half.wav", 4.0),
        ("12-6-channels-voice-on-4.wav", 2.0),
    ],
)
def test_only_structure_declares_how_long_the_sound_is(name: str, seconds: float | None, structure: Read) -> None:
    found = structure(CASES / name)
    assert found.audio and len(found.audio) == 1
    assert found.audio[0].seconds == (None if seconds is None else pytest.approx(seconds, abs=0.05))


def test_both_numbers_of_a_cut_are_in_its_phrase(structure: Read) -> None:
    assert structure(CASES / "04-cut-gsm.wav").cut == "the header declares 32,500 bytes of data, the file has 16,203"
    assert structure(CASES / "04-cut-half.wmv").cut == "the header declares 21 packets, the file has 10"
