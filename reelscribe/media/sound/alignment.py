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

from reelscribe.media.commands import Reading, frames_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pipe import Pipe
from reelscribe.media.process import FFmpegProcess
from reelscribe.media.sound.frame_report import Frame, FrameReport
from reelscribe.media.stored_object import StoredObject

BEGINNING_SECONDS = 5.0
SOUGHT_SECONDS = 1.0
"""Of the recording that is decoded to find the grid, and a part's place on it. If sound begins later than that,
timestamps are taken as they are."""

STDOUT = 1

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
    at_seek = Pipe()
    stretches = [(replace(sought, seek=None), BEGINNING_SECONDS, STDOUT)]
    if rounded:
        stretches.append((sought, SOUGHT_SECONDS, at_seek.writing))
    try:
        async with FFmpegProcess(
            ffmpeg.sandbox,
            frames_command(ffmpeg, stored, stream, stretches),
            stored.descriptors,
            cpu_seconds=cpu_seconds,
            network=stored.needs_network,
            report=at_seek,
        ) as process:
            reports = await asyncio.gather(process.read_all(), at_seek.read_all())
    finally:
        at_seek.close()
    first, part = map(_stretch, reports)
    if first and first.falls_behind:
        return None
    return shift(first, part) if first and part else 0.0


def _stretch(report: bytes) -> Stretch | None:
    """None if there are too few frames for a grid."""
    reader = FrameReport()
    frames = reader.read(report)
    return Stretch(reader.sample_rate, tuple(frames)) if reader.sample_rate and len(frames) > 3 else None
