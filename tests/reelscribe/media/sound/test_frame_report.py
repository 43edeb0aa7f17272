"""ffmpeg's report of frames is read in pieces of any size."""

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.sound.frame_report import Frame, FrameReport

REPORT = b"""#software: Lavf59.27.100
#tb 0: 1/48000
#media_type 0: audio
#codec_id 0: pcm_s16le
#sample_rate 0: 48000
#channel_layout_name 0: 5.1(side)
0,          0,          0,     1024,     4096, 0x5da4f6b1
0,       1024,      -1024,     1024,     4096, 0x00000000, F=0x0
0,       2048,       2048,      512,     2048, 0x12345678, F=0x3, S=1,       10, 0x0a
"""
FRAMES = [Frame(0, 1024, 4096, False), Frame(-1024, 1024, 4096, False), Frame(2048, 512, 2048, True)]


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_report_is_read_in_pieces_of_any_size(size: int) -> None:
    report, frames = FrameReport(), list[Frame]()
    for at in range(0, len(REPORT), size):
        frames += report.read(REPORT[at : at + size])
    assert frames == FRAMES
    assert (report.time_base, report.sample_rate, report.layout) == (Fraction(1, 48_000), 48_000, "5.1(side)")


def test_a_line_counts_when_it_is_complete() -> None:
    report = FrameReport()
    assert report.read(REPORT[: REPORT.index(b"0,  ") + 40]) == []
    assert report.read(b"") == []


def test_what_ffmpeg_writes_is_understood(local_ffmpeg: FFmpeg) -> None:
    source = ("-f", "lavfi", "-i", "sine=sample_rate=44100:duration=1", "-af", "asetnsamples=1000:p=0")
    command: list[str | Path] = [local_ffmpeg.path, "-v", "error", *source, "-ac", "2", "-f", "framecrc", "-"]
    report = FrameReport()
    frames = report.read(subprocess.run(command, capture_output=True, check=True).stdout)
    assert (report.time_base, report.sample_rate, report.layout) == (Fraction(1, 44_100), 44_100, "stereo")
    assert [frame.pts for frame in frames] == list(range(0, 44_100, 1000))
    assert frames[-1] == Frame(44_000, 100, 400, False)
