"""A track as samples on its timeline: with real ffmpeg, and its report ahead of the samples or behind them."""

import asyncio
import math
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from reelscribe.media.commands import Sound
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.processes.pipe import Pipe
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.processes.sandbox import Sandbox
from reelscribe.media.sound.decoded_track import Clock, DecodedTrack, Part
from tests.reelscribe.media.decoding import CPU_SECONDS, decoded, opened

HOLE = "asetpts=PTS+gte(T\\,5)*3/TB"
RATE = 48_000

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, run_ffmpeg: Callable[..., None]) -> Make:
    def make(name: str, *options: str, seconds: float = 10) -> Path:
        noise = f"anoisesrc=duration={seconds}:amplitude=0.3:sample_rate={RATE}:seed=1"
        run_ffmpeg("-f", "lavfi", "-i", noise, *options, tmp_path / name)
        return tmp_path / name

    return make


def plainly(ffmpeg: FFmpeg, path: Path) -> bytes:
    """What ffmpeg alone decodes."""
    command: list[str | Path] = [ffmpeg.path, "-v", "error", "-i", path, "-f", "s16le", "pipe:1"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def report_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is read once all samples are there."""
    monkeypatch.setattr(Pipe, "read_now", lambda _: b"")


def report_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """ffmpeg has ended, and samples come in small pieces of odd lengths."""
    read, rest = FFmpegProcess.read, {}

    async def read_slowly(process: FFmpegProcess) -> bytes:
        if process not in rest:
            await asyncio.sleep(0.5)
            rest[process] = b""
        content = rest[process] or await read(process)
        rest[process] = content[10_001:]
        return content[:10_001]

    monkeypatch.setattr(FFmpegProcess, "read", read_slowly)


def as_it_comes(_: pytest.MonkeyPatch) -> None:
    pass


@pytest.fixture(params=[as_it_comes, report_late, report_early])
def order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    request.param(monkeypatch)


@pytest.mark.usefixtures("order")
async def test_a_regular_track_has_the_samples_that_ffmpeg_decodes(local_ffmpeg: FFmpeg, make: Make) -> None:
    path = make("a.flac", "-ac", "2")
    async with opened(path) as stored:
        track, samples = await decoded(local_ffmpeg, stored)
    assert samples.tobytes() == plainly(local_ffmpeg, path)
    assert track.timeline
    assert (track.sample_rate, track.channels, track.layout, track.exit_code) == (RATE, 2, "stereo", 0)
    assert (track.timeline.counts.decoded, track.timeline.irregular) == (10 * RATE, False)


@pytest.mark.usefixtures("order")
async def test_a_hole_is_silence_between_all_the_samples(local_ffmpeg: FFmpeg, make: Make) -> None:
    path = make("a.mkv", "-af", HOLE, "-c:a", "flac")
    async with opened(path) as stored:
        track, samples = await decoded(local_ffmpeg, stored)
    assert track.timeline
    (gap,) = track.timeline.gaps
    assert len(samples) == 10 * RATE + gap.samples
    at = int(np.flatnonzero(samples[: 6 * RATE])[-1]) + 1
    assert gap.samples == pytest.approx(3 * RATE, abs=RATE // 100)
    assert not samples[at : at + gap.samples - 10].any()
    sound = np.delete(samples, slice(at, at + gap.samples))
    assert sound.tobytes() == plainly_sounding(local_ffmpeg, path)


@pytest.mark.usefixtures("order")
async def test_a_hole_just_before_the_end_is_seen(local_ffmpeg: FFmpeg, make: Make) -> None:
    path = make("a.mka", "-af", "asetpts=PTS+gte(T\\,9.9)*3/TB", "-c:a", "flac", "-frame_size", "1024")
    async with opened(path) as stored:
        track, samples = await decoded(local_ffmpeg, stored)
    assert track.timeline and len(track.timeline.gaps) == 1
    assert len(samples) == pytest.approx(13 * RATE, abs=RATE // 500)


@pytest.mark.parametrize("seconds", [0.01, 1.234, 5])
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
async def test_nothing_of_the_silence_that_is_appended_to_see_that_is_delivered(
    local_ffmpeg: FFmpeg, make: Make, seconds: float, rate: int
) -> None:
    path = make("a.wav", seconds=seconds)
    async with opened(path) as stored:
        track, samples = await decoded(local_ffmpeg, stored, sound=Sound(sample_rates=(rate,)))
    assert track.timeline and not track.timeline.irregular
    assert len(samples) == track.timeline.counts.decoded == math.ceil(round(seconds * RATE) * rate / RATE)
    assert samples[-rate // 100 :].any()


def plainly_sounding(ffmpeg: FFmpeg, path: Path) -> bytes:
    """What ffmpeg alone decodes, without silence for holes."""
    command: list[str | Path] = [
        ffmpeg.path,
        "-v",
        "error",
        "-i",
        path,
        "-af",
        "asetpts=N/SR/TB",
        "-f",
        "s16le",
        "pipe:1",
    ]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.usefixtures("order")
@pytest.mark.parametrize("seekable", [False, True])
async def test_a_part_is_the_slice_of_all(local_ffmpeg: FFmpeg, make: Make, seekable: bool) -> None:
    async with opened(make("a.wav")) as stored:
        _, complete = await decoded(local_ffmpeg, stored)
        track, part = await decoded(local_ffmpeg, stored, Part(7.25, 0.5, seekable=seekable))
    first = round(7.25 * RATE)
    assert np.array_equal(part, complete[first : first + RATE // 2])
    assert track.reading.seek == (6.75 if seekable else None)


FLAC_AT_44100 = ("-ar", "44100", "-c:a", "flac")


@pytest.mark.usefixtures("order")
async def test_a_part_is_the_slice_of_all_where_timestamps_are_rounded(local_ffmpeg: FFmpeg, make: Make) -> None:
    async with opened(make("a.mkv", *FLAC_AT_44100)) as stored:
        _, complete = await decoded(local_ffmpeg, stored)
        _, part = await decoded(local_ffmpeg, stored, Part(7.25, 0.5, seekable=True, clock="rounded"))
    first = round(7.25 * 44_100)
    assert np.array_equal(part, complete[first : first + 22_050])


@pytest.mark.parametrize("clock", ["exact", "rounded"])
async def test_a_part_needs_one_ffmpeg(local_ffmpeg: FFmpeg, make: Make, tmp_path: Path, clock: Clock) -> None:
    counting, starts = tmp_path / "counting", tmp_path / "starts"
    counting.write_text(f'#!/bin/sh\necho >>{starts}\nexec {local_ffmpeg.path} "$@"\n')
    counting.chmod(0o755)
    async with opened(make("a.mkv", *FLAC_AT_44100)) as stored:
        once = replace(local_ffmpeg, path=counting, sandbox=Sandbox())
        await decoded(once, stored, Part(7.25, 0.5, seekable=True, clock=clock))
    assert starts.read_text() == "\n"


async def test_a_part_of_sound_that_begins_late_is_where_its_timestamps_say(local_ffmpeg: FFmpeg, make: Make) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x36:rate=5:duration=30", "-c:v", "mpeg4", "-g", "5")
    path = make("a.mkv", *picture, "-af", "asetpts=PTS+8/TB", *FLAC_AT_44100, seconds=60)
    async with opened(path) as stored:
        _, complete = await decoded(local_ffmpeg, stored)
        _, part = await decoded(local_ffmpeg, stored, Part(12.0, 0.5, seekable=True, clock="rounded"))
    assert len(part) == 22_050
    near = range(12 * 44_100 - 45, 12 * 44_100 + 46)
    assert any(np.array_equal(part, complete[first : first + 22_050]) for first in near)


async def test_two_layouts_in_one_track_are_mixed_alike(local_ffmpeg: FFmpeg, make: Make) -> None:
    first = make("first.mp3", "-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0", "-ac", "1")
    second = make("second.mp3", "-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0", "-ac", "2")
    first.write_bytes(first.read_bytes() + second.read_bytes())
    async with opened(first) as stored:
        track, samples = await decoded(local_ffmpeg, stored, sound=Sound(channels=1))
    assert track.channels == 1
    assert len(samples) / RATE == pytest.approx(20, abs=0.2)


async def test_a_seek_that_lands_after_the_start_is_tried_from_earlier(local_ffmpeg: FFmpeg, make: Make) -> None:
    """A Matroska file whose only later cue is behind the start."""
    path = make("a.mkv", "-af", "asetpts=PTS+gte(T\\,5)*20/TB", "-c:a", "flac")
    async with opened(path) as stored:
        _, complete = await decoded(local_ffmpeg, stored)
        _, part = await decoded(local_ffmpeg, stored, Part(24.0, 2.0, seekable=True))
    assert np.array_equal(part[: RATE // 2], np.zeros(RATE // 2, np.int16))
    assert len(part) == 2 * RATE
    assert np.abs(np.flatnonzero(part)[0] - np.flatnonzero(complete[24 * RATE :])[0]) <= RATE // 1000


async def test_a_file_without_sound_has_no_chunks(local_ffmpeg: FFmpeg, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("text\n" * 1000)
    async with opened(tmp_path / "a.mp4") as stored:
        track, samples = await decoded(local_ffmpeg, stored)
    assert (len(samples), track.timeline) == (0, None)
    assert track.exit_code != 0
    assert track.messages


async def test_closing_it_ends_ffmpeg_and_leaves_no_descriptor(local_ffmpeg: FFmpeg, make: Make) -> None:
    path = make("a.wav", seconds=120)
    before = len(os.listdir("/proc/self/fd"))
    async with opened(path) as stored:
        for _ in range(2):
            track = DecodedTrack(local_ffmpeg, stored, Sound(), Part(), cpu_seconds=CPU_SECONDS)
            chunks = track.chunks()
            assert await anext(chunks)
            await chunks.aclose()
    alive = [child for child in psutil.Process().children(True) if child.status() != psutil.STATUS_ZOMBIE]
    assert [child.name() for child in alive if "ffmpeg" in child.name()] == []
    assert len(os.listdir("/proc/self/fd")) <= before + 1


async def test_once_the_part_is_complete_ffmpeg_is_ended(local_ffmpeg: FFmpeg, make: Make) -> None:
    async with opened(make("a.wav", seconds=600)) as stored:
        track, samples = await decoded(local_ffmpeg, stored, Part(duration=1.0))
    assert len(samples) == RATE
    assert track.exit_code == 0
    assert track.timeline
    assert track.timeline.counts.decoded < 60 * RATE


@pytest.mark.usefixtures("order")
async def test_a_part_that_ends_soon_after_a_hole_begins_has_no_sound_from_behind_it(
    local_ffmpeg: FFmpeg, make: Make
) -> None:
    async with opened(make("a.mkv", "-af", HOLE, "-c:a", "flac")) as stored:
        track, part = await decoded(local_ffmpeg, stored, Part(4.5, 0.618))
    assert len(part) == round(0.618 * RATE)
    assert part[: RATE // 4].any()
    assert not part[round(0.6 * RATE) :].any()
    assert track.timeline
    assert len(track.timeline.gaps) == 1
