"""Silence that was added is a hole of the recording, or takes the place of sound that is damaged."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.sound.gaps import damaged_seconds
from reelscribe.media.structure.reading import read_structure
from tests.reelscribe.media.decoding import CPU_SECONDS, decoded, opened

HOLE = "asetpts=PTS+gte(T\\,5)*3/TB"

CODECS = {
    "a.mkv": ("-c:a", "libopus", "-cluster_time_limit", "1000"),
    "aac.mkv": ("-c:a", "aac", "-cluster_time_limit", "1000"),
    "live.mkv": ("-c:a", "libopus", "-live", "1"),
    "a.ogg": ("-c:a", "libvorbis", "-page_duration", "100000"),
    "a.ts": ("-c:a", "mp2"),
    "a.mp4": ("-c:a", "aac"),
    "a.flv": ("-c:a", "aac"),
}


@pytest.fixture
def make(tmp_path: Path, run_ffmpeg: Callable[..., None]) -> Callable[..., Path]:
    def make(name: str, *options: str) -> Path:
        noise = "anoisesrc=duration=10:amplitude=0.3:sample_rate=48000:seed=1"
        run_ffmpeg("-f", "lavfi", "-i", noise, *options, *CODECS[name], tmp_path / name)
        return tmp_path / name

    return make


async def measured(ffmpeg: FFmpeg, path: Path) -> tuple[float, float]:
    """Seconds of silence that was added between frames, and of these, in place of sound."""
    async with opened(path) as stored:
        structure = read_structure(stored)
        track, _ = await decoded(ffmpeg, stored)
        assert track.timeline
        gaps = track.timeline.gaps
        damaged = await damaged_seconds(
            *(ffmpeg, stored, structure, track.sound, track.reading, gaps, track.sample_rate), cpu_seconds=CPU_SECONDS
        )
        return sum(gap.samples for gap in gaps) / track.sample_rate, damaged


@pytest.mark.parametrize("name", CODECS)
async def test_an_intact_recording_has_no_damage(local_ffmpeg: FFmpeg, make: Callable[..., Path], name: str) -> None:
    assert await measured(local_ffmpeg, make(name)) == (0, 0)


@pytest.mark.parametrize("name", ["a.mkv", "aac.mkv", "live.mkv", "a.ts", "a.mp4", "a.flv"])
async def test_a_hole_is_no_damage(local_ffmpeg: FFmpeg, make: Callable[..., Path], name: str) -> None:
    added, damaged = await measured(local_ffmpeg, make(name, "-af", HOLE))
    assert (added, damaged) == (pytest.approx(3, abs=0.05), 0)


@pytest.mark.parametrize("name", ["a.mkv", "aac.mkv", "live.mkv", "a.ogg"])
async def test_a_zeroed_tenth_is_damage(local_ffmpeg: FFmpeg, make: Callable[..., Path], name: str) -> None:
    path = make(name)
    content = path.read_bytes()
    at, length = len(content) // 2, len(content) // 10
    path.write_bytes(content[:at] + bytes(length) + content[at + length :])
    added, damaged = await measured(local_ffmpeg, path)
    assert added == pytest.approx(1.5, abs=1)
    assert damaged == added


async def test_frames_that_cannot_be_decoded_are_damage(local_ffmpeg: FFmpeg, make: Callable[..., Path]) -> None:
    """An MP4 says where each frame is: zeros have a place in time, but no sound."""
    path = make("a.mp4", "-movflags", "+faststart")
    content = path.read_bytes()
    at, length = content.index(b"mdat") + (len(content) - content.index(b"mdat")) // 2, len(content) // 10
    path.write_bytes(content[:at] + bytes(length) + content[at + length :])
    added, damaged = await measured(local_ffmpeg, path)
    assert damaged == added


async def test_a_little_silence_is_not_looked_into(local_ffmpeg: FFmpeg, make: Callable[..., Path]) -> None:
    added, damaged = await measured(local_ffmpeg, make("a.mkv", "-af", HOLE.replace("*3/", "*0.3/")))
    assert (added, damaged) == (pytest.approx(0.3, abs=0.05), 0)
