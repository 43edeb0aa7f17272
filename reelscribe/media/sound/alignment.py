"""Where a sought part begins, to the sample, in containers whose timestamps do not count samples.

Frames follow each other without a hole, so that all of them begin on a grid: the place of the first, plus multiples of
the size of a frame (of 64 samples in Vorbis). A timestamp that is rounded to a millisecond says which line of the grid
is meant. And a clock that is slower than the samples shows at the beginning: only the samples before a part say then
where it is.
"""

import asyncio
from dataclasses import dataclass, replace
from math import gcd
from statistics import median

from reelscribe.media.commands import Reading, Sound, decode_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pipe import Pipe
from reelscribe.media.process import FFmpegProcess
from reelscribe.media.sound.frame_report import Frame, FrameReport
from reelscribe.media.stored_object import StoredObject

BEGINNING_SECONDS = 5.0
SOUGHT_SECONDS = 1.0
"""Sound that is decoded to find the grid, and a part's place on it."""

TIMEOUT_SECONDS = 2.0
"""After that the timestamps are taken as they are: sound may begin hours after the picture."""

ROUNDED_SECONDS = 0.001
"""Two timestamps that are rounded to a millisecond differ by that much from the samples between them."""

SLOW_SECONDS = 0.003
"""A clock that falls behind the samples of the beginning by more than that is slow."""


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames of a track, at its own sample rate.

    Attributes:
        sample_rate: Hz.
        frames: timestamps and durations in samples.
    """

    sample_rate: int
    frames: tuple[Frame, ...]

    @property
    def second_border(self) -> int:
        """Where the first frame ends, which may be shorter than the others: samples from the recording's beginning."""
        first = self.frames[0]
        return max(0, first.pts) + first.duration

    @property
    def size(self) -> int:
        """Of which the frames are multiples, in samples; the first and the last may be shorter."""
        return gcd(*(frame.duration for frame in self.frames[1:-1]))

    @property
    def lateness(self) -> float:
        """By how many samples the timestamps are typically later than the samples before them."""
        return median(self._lateness())

    @property
    def falls_behind(self) -> bool:
        """Whether the clock is slower than the samples."""
        lateness = self._lateness()
        quarter = max(1, len(lateness) // 4)
        behind = median(lateness[:quarter]) - median(lateness[-quarter:])
        return behind > SLOW_SECONDS * self.sample_rate

    def _lateness(self) -> list[int]:
        differences, position = [], self.frames[0].pts
        for frame in self.frames:
            differences.append(frame.pts - position)
            position += frame.duration
        return differences


def shift(beginning: Stretch, sought: Stretch) -> float:
    """Seconds by which the timestamps of ``sought`` are too early; 0 if it is not on the grid of ``beginning``."""
    size = beginning.size
    if not size or sought.sample_rate != beginning.sample_rate:
        return 0.0
    border = sought.second_border
    place = border + sought.lateness - beginning.second_border - beginning.lateness
    found = beginning.second_border + round(place / size) * size - border
    return found / sought.sample_rate if abs(found) <= ROUNDED_SECONDS * sought.sample_rate else 0.0


async def alignment(
    ffmpeg: FFmpeg, stored: StoredObject, stream: str, sought: Reading, *, rounded: bool, cpu_seconds: float
) -> float | None:
    """Seconds to add to the timestamps that a read gives which does not begin at the beginning.

    Returns:
        None if the clock is slower than the samples: then only a read from the beginning shows where a sample belongs.
    """

    async def stretch(reading: Reading, seconds: float) -> Stretch | None:
        return await _decoded_stretch(ffmpeg, stored, stream, reading, seconds, cpu_seconds=cpu_seconds)

    async with asyncio.TaskGroup() as group:
        beginning = group.create_task(stretch(replace(sought, seek=None), BEGINNING_SECONDS))
        part = group.create_task(stretch(sought, SOUGHT_SECONDS)) if rounded else None
    first = beginning.result()
    if first and first.falls_behind:
        return None
    there = part.result() if part else None
    return shift(first, there) if first and there else 0.0


async def _decoded_stretch(
    ffmpeg: FFmpeg, stored: StoredObject, stream: str, reading: Reading, seconds: float, *, cpu_seconds: float
) -> Stretch | None:
    """The first frames that a read gives; None if there are not enough of them."""
    report, pipe = FrameReport(), Pipe()
    frames: list[Frame] = []
    samples = 0
    command = decode_command(ffmpeg, stored, Sound(stream), reading, pipe.writing, exact=True)
    try:
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            FFmpegProcess(
                ffmpeg.sandbox,
                command,
                stored.descriptors,
                cpu_seconds=cpu_seconds,
                network=stored.needs_network,
                report=pipe,
            ) as process,
        ):
            while await process.read():
                found = report.read(pipe.read_now())
                frames += found
                samples += sum(frame.duration for frame in found)
                if samples > seconds * (report.sample_rate or 0):
                    break
            else:
                frames += report.read(await pipe.read_all())
    except TimeoutError:
        return None
    finally:
        pipe.close()
    return Stretch(report.sample_rate, tuple(frames)) if report.sample_rate and len(frames) > 3 else None
