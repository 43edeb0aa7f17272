"""Tracks have the indexes that ffmpeg gives them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.reelscribe.media.structure.conftest import PICTURE, SOUND, Read

FILES = [
    ("a.mp4", ("-c:a:0", "aac", "-c:a:1", "alac")),
    ("a.mov", ("-c:a:0", "aac", "-c:a:1", "pcm_s16le", "-timecode", "00:00:00:00")),
    ("f.mp4", ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov")),
    ("a.mkv", ("-c:a:0", "aac", "-c:a:1", "flac")),
    ("a.avi", ("-c:a:0", "libmp3lame", "-c:a:1", "pcm_s16le")),
    ("a.ogv", ("-c:a:0", "libvorbis", "-c:a:1", "libopus", "-c:v", "libtheora")),
    ("a.wmv", ("-c:a", "wmav2", "-c:v", "wmv2")),
    ("a.nut", ("-c:a:0", "libopus", "-c:a:1", "pcm_s16le")),
    ("a.ts", ("-c:a:0", "aac", "-c:a:1", "ac3")),
    ("b.ts", ("-c:a:0", "eac3", "-c:a:1", "libopus")),
    ("c.ts", ("-c:a:0", "mp2", "-c:a:1", "aac", "-mpegts_flags", "latm")),
]


def indexes(ffmpeg: FFmpeg, path: Path) -> list[int]:
    """Of the audio tracks."""
    command: list[str | Path] = [ffmpeg.path, "-hide_banner", "-nostdin", "-i", path]
    described = subprocess.run(command, capture_output=True, text=True).stderr
    streams = [line for line in described.splitlines() if line.strip().startswith("Stream #0:")]
    return [number for number, line in enumerate(streams) if ": Audio:" in line]


@pytest.mark.parametrize(("name", "options"), FILES, ids=[name for name, _ in FILES])
def test_indexes_are_those_of_ffmpeg(
    name: str,
    options: tuple[str, ...],
    tmp_path: Path,
    run_ffmpeg: Callable[..., None],
    local_ffmpeg: FFmpeg,
    structure: Read,
) -> None:
    path = tmp_path / name
    run_ffmpeg(*SOUND, *PICTURE, "-map", "0", "-map", "1", "-map", "0", "-ar", "48000", *options, path)
    found = structure(path).audio
    assert found is not None and [track.index for track in found] == indexes(local_ffmpeg, path) == [0, 2]
