"""Where a sought part begins, to the sample, in containers whose timestamps do not count samples.

Frames follow each other without a hole, so that all of them begin on a grid: the place of the first, plus multiples of
the size of a frame (of 64 samples in Vorbis). A timestamp that is rounded to a millisecond says which line of the grid
is meant. And a clock that is slower than the samples shows at the beginning: only the samples before a part say then
where it is.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from statistics import median
from typing import Self

from reelscribe.media.commands import FrameOutputs
from reelscribe.media.processes.pipe import Pipe
from reelscribe.media.sound.frame_report import Frame, FrameReport

BEGINNING_SECONDS = 5.0
SOUGHT_SECONDS = 1.0
"""Of the recording and of a part, whose frames show the grid and the part's place on it. If sound begins later than
that, timestamps are taken as they are."""

MARGIN_SECONDS = 1.0
"""That much more is reported: a frame behind the last one that counts shows that all of them are known."""

LONGEST_WAIT_SECONDS = 20.0
"""When ffmpeg has made that much of a part, it has reported all frames of a beginning in which few are."""

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
        exact_origin: see :class:`reelscribe.media.sound.timeline.Timeline`.
    """

    sample_rate: int
    frames: tuple[Frame, ...]
    exact_origin: bool = False

    @property
    def second_border(self) -> int:
        """Where the first frame ends, which may be shorter than the others: samples from the recording's beginning."""
        first = self.frames[0]
        return (first.pts if self.exact_origin else max(0, first.pts)) + first.duration

    @property
    def size(self) -> int:
        """Of which the frames are multiples, in samples; the first and the last may be shorter."""
        return gcd(*(frame.duration for frame in self.frames[1:-1]))

    @property
    def is_on_grid(self) -> bool:
        """Whether a rounded timestamp says which line of the grid is meant; not if frames are of many sizes (PCM)."""
        return self.size >= ROUNDED_SECONDS * self.sample_rate

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


class Alignment:
    """Reads the frames of the beginning and of a sought part while the part is decoded; use it as ``async with``.

    Args:
        rounded: timestamps are rounded; else a clock can only be slow, and the part's frames are not needed.
        exact_origin: see :class:`reelscribe.media.sound.timeline.Timeline`.
        origin: timestamp of the recording's beginning, in seconds.

    Attributes:
        pipes: that ffmpeg writes to.
        outputs: what it must write.
    """

    def __init__(self, rounded: bool, exact_origin: bool, origin: float = 0.0) -> None:
        self._beginning = _Frames(lambda first: origin + BEGINNING_SECONDS, exact_origin)
        self._sought = _Frames(lambda first: first + SOUGHT_SECONDS, exact_origin) if rounded else None
        self._stretches = [self._beginning, *((self._sought,) if self._sought else ())]
        self.pipes = [stretch.pipe for stretch in self._stretches]
        self.outputs = FrameOutputs(
            self._beginning.pipe.writing,
            self._sought.pipe.writing if self._sought else None,
            BEGINNING_SECONDS + MARGIN_SECONDS,
            SOUGHT_SECONDS + MARGIN_SECONDS,
        )

    async def __aenter__(self) -> Self:
        self._reading = [asyncio.create_task(stretch.read()) for stretch in self._stretches]
        return self

    async def __aexit__(self, *error: object) -> None:
        for reading in self._reading:
            reading.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        for pipe in self.pipes:
            pipe.close()

    def is_known(self, decoded_seconds: float) -> bool:
        """Whether ffmpeg, which has made so much of the part, has reported what there is."""
        for stretch in self._stretches:
            stretch.read_now()
        return decoded_seconds > LONGEST_WAIT_SECONDS or all(stretch.is_complete for stretch in self._stretches)

    async def finish(self) -> None:
        """Read all that ffmpeg, which has ended, has reported."""
        await asyncio.gather(*self._reading)

    @property
    def shift(self) -> float | None:
        """Seconds to add to the timestamps of the part.

        None if the clock is slower than the samples, or is rounded and frames are on no grid: then only a read from the
        beginning shows where a sample belongs.
        """
        first, part = self._beginning.stretch, self._sought.stretch if self._sought else None
        if first and (first.falls_behind or (self._sought and not first.is_on_grid)):
            return None
        return shift(first, part) if first and part else 0.0


class _Frames:
    """Those that ffmpeg reports up to an end, which follows from the first one's timestamp; both are in seconds."""

    def __init__(self, end: Callable[[float], float], exact_origin: bool) -> None:
        self.pipe = Pipe()
        self.is_complete = False
        self._end, self._exact_origin = end, exact_origin
        self._report = FrameReport()
        self._frames: list[Frame] = []

    async def read(self) -> None:
        """Read all; unread, it might stall ffmpeg."""
        while data := await self.pipe.read():
            self._add(data)

    def read_now(self) -> None:
        """Read what is there."""
        self._add(self.pipe.read_now())

    @property
    def stretch(self) -> Stretch | None:
        """None if there are too few frames for a grid."""
        rate, frames = self._report.sample_rate, tuple(self._frames)
        return Stretch(rate, frames, self._exact_origin) if rate and len(frames) > 3 else None

    def _add(self, data: bytes) -> None:
        for frame in self._report.read(data):
            rate = self._report.sample_rate or 1
            first = self._frames[0] if self._frames else frame
            self.is_complete |= frame.pts + frame.duration > self._end(first.pts / rate) * rate
            if not self.is_complete:
                self._frames.append(frame)
