"""When a recording begins, in containers whose clock does not start at zero."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reelscribe.media.structure.mpeg.first_timestamp import CLOCK_HZ, CYCLE_SECONDS, first_timestamp
from tests.reelscribe.media.files import ask

LATE_SECONDS = 4

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, run_ffmpeg: Callable[..., None]) -> Make:
    """A recording whose sound begins 4 s after its picture."""

    def make(name: str, picture: str, sound: str, *options: str) -> Path:
        path = tmp_path / name
        pictures = ("-f", "lavfi", "-i", f"testsrc=size=64x48:rate=25:duration={LATE_SECONDS + 2}")
        sounds = ("-itsoffset", str(LATE_SECONDS), "-f", "lavfi", "-i", "sine=duration=2:sample_rate=48000")
        run_ffmpeg(*pictures, *sounds, "-c:v", picture, "-c:a", sound, *options, path)
        return path

    return make


@pytest.mark.parametrize(
    ("name", "picture", "sound", "options", "begins"),
    [
        ("a.ts", "mpeg2video", "mp2", (), 1.4),
        ("no_picture_frames_reordered.ts", "mpeg2video", "mp2", ("-bf", "0"), 1.4),
        ("reordered.ts", "mpeg2video", "mp2", ("-bf", "2"), 1.4),
        ("a.m2ts", "mpeg2video", "ac3", (), 1.4),
        ("a.mpg", "mpeg1video", "mp2", (), 0.5),
        ("a.vob", "mpeg2video", "ac3", (), 0.5),
    ],
)
def test_it_begins_with_the_picture_if_the_sound_is_late(
    make: Make, name: str, picture: str, sound: str, options: tuple[str, ...], begins: float
) -> None:
    assert ask(make(name, picture, sound, *options), first_timestamp) == pytest.approx(begins, abs=0.1)


def test_an_ogg_with_a_picture_begins_at_zero(make: Make) -> None:
    assert ask(make("a.ogv", "libtheora", "libvorbis"), first_timestamp) == 0.0


@pytest.mark.parametrize(("name", "sound"), [("a.ogg", "libvorbis"), ("a.mkv", "flac"), ("a.mp3", "libmp3lame")])
def test_others_count_from_their_beginning(
    tmp_path: Path, run_ffmpeg: Callable[..., None], name: str, sound: str
) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", sound, tmp_path / name)
    assert ask(tmp_path / name, first_timestamp) is None


def test_an_empty_file_and_text_have_none(tmp_path: Path) -> None:
    for content in (b"", b"text\n" * 1000, b"\x47" * 50, b"\x00\x00\x01\xba" + bytes(100)):
        (tmp_path / "a").write_bytes(content)
        assert ask(tmp_path / "a", first_timestamp) is None


def test_a_clock_that_starts_over_within_the_beginning_begins_before(make: Make) -> None:
    wrapped = make("a.ts", "mpeg2video", "mp2", "-output_ts_offset", str(CYCLE_SECONDS - 2.4))
    begins = ask(wrapped, first_timestamp)
    assert begins == pytest.approx(CYCLE_SECONDS - 1, abs=0.1)


def ts_packet(pts: int, stream: int = 0xC0) -> bytes:
    """An MPEG-TS packet with the beginning of a PES packet that has this timestamp."""
    pts %= 1 << 33
    stamp = bytes(
        (0x21 | pts >> 29 & 0x0E, pts >> 22 & 0xFF, pts >> 14 & 0xFE | 1, pts >> 7 & 0xFF, pts << 1 & 0xFE | 1)
    )
    packet = b"\x00\x00\x01" + bytes((stream, 0, 0, 0x80, 0x80, 5)) + stamp
    return (b"\x47\x41\x00\x10" + packet).ljust(188, b"\xff")


@pytest.mark.parametrize(
    ("seconds", "begins"),
    [
        ((5.0, 4.5, 6.0), 4.5),
        ((5.0, 6.0, 1.0), 1.0),
        ((100.0, 101.0, 1.0), 100.0),
        ((1.0, -0.5), CYCLE_SECONDS - 0.5),
    ],
    ids=["a stream that is a little earlier", "much earlier", "a clock that begins again", "before the cycle's end"],
)
def test_the_earliest_of_one_clock_counts(tmp_path: Path, seconds: tuple[float, ...], begins: float) -> None:
    content = b"".join(ts_packet(round(second * CLOCK_HZ)) for second in seconds) + 5 * ts_packet(200 * CLOCK_HZ)
    (tmp_path / "a.ts").write_bytes(content)
    assert ask(tmp_path / "a.ts", first_timestamp) == pytest.approx(begins, abs=1e-4)


def test_streams_of_neither_sound_nor_picture_do_not_count(tmp_path: Path) -> None:
    content = ts_packet(5 * CLOCK_HZ) + ts_packet(CLOCK_HZ, stream=0xBF) + 5 * ts_packet(6 * CLOCK_HZ)
    (tmp_path / "a.ts").write_bytes(content)
    assert ask(tmp_path / "a.ts", first_timestamp) == 5.0
