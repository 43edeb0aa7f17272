"""Where decoded sound belongs on the timeline of its recording.

A container gives each frame a time, and a decoder gives it samples; the two disagree where sound begins late, where a
part is missing, where timestamps are rounded or come in bursts, and where they begin again. No sample is discarded to
make them agree: silence is added where time passes without sound, and if timestamps begin again, the sound continues.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median_high
from typing import NamedTuple

TOLERATED_SECONDS = 0.015
"""Timestamps may differ by that much from the samples: less than one frame of AAC at 48 kHz (21 ms), more than the
rounding of Matroska, FLV and ASF (1 ms)."""

REGULAR_SECONDS = 0.005
"""Frames that follow each other this closely are taken for continuous without a look at the frames after them."""

RESTART_SECONDS = 1.0
"""Timestamps that fall back further than this begin again; a smaller step is that of a burst."""

LONGEST_GAP_SECONDS = 7200.0
"""A longer jump forward is another clock, not a hole, unless the recording declares that it lasts that long."""

LOOKAHEAD_SECONDS = 1.0
"""What decides whether a jump lasts: the frames of so much sound."""

MAX_LOOKAHEAD_FRAMES = 400

WRONG_FRAMES = 5
WRONG_SECONDS = 0.1
"""One of more frames than that may have a wrong timestamp, if it differs by more than that from all others."""


class Piece(NamedTuple):
    """Samples of the output, in order: decoded ones if ``sound``, else silence; ``keep`` is False outside the requested
    part."""

    samples: int
    sound: bool
    keep: bool


@dataclass(frozen=True)
class Gap:
    """Silence that was added between two frames.

    Attributes:
        samples: how long it is.
        before, after: the timestamps at its ends, in samples.
        restarts: how often timestamps had begun again before it.
    """

    samples: int
    before: int
    after: int
    restarts: int


@dataclass
class Counts:
    """Samples of one channel.

    Attributes:
        decoded: that the decoder made.
        discarded: of those, outside the requested part.
        added: silence in the requested part.
    """

    decoded: int = 0
    discarded: int = 0
    added: int = 0

    @property
    def delivered(self) -> int:
        """That are in the output."""
        return self.decoded - self.discarded + self.added


class Timeline:
    """Places the frames of one track.

    Args:
        sample_rate: of the samples, Hz; timestamps are in samples too.
        start: of the requested part, in seconds.
        duration: of the requested part, in seconds; None for all that follows.
        origin: the timestamp of the recording's beginning, in seconds.
        exact_origin: samples shortly before it are those that a decoder needs to begin with; else the recording begins
            with them.
        cycle: seconds after which timestamps begin again by themselves, if they do.
        sought: decoding began shortly before ``start`` instead of at the beginning.
        declared: seconds that the recording declares; bounds a hole.
        holes: start and length, in seconds, of silence that timestamps leave out, if they do not begin after it.
        joined: the recording consists of several with clocks of their own; jumps between their timestamps mean nothing.

    Attributes:
        counts: of what has been placed.
        gaps: where silence was added, but before the first sound.
        restarts: how often timestamps began again: not where they only run slower or faster than the sound.
        irregular: frames do not follow each other; their exact borders matter.
    """

    def __init__(
        self,
        sample_rate: int,
        start: float = 0.0,
        duration: float | None = None,
        *,
        origin: float = 0.0,
        exact_origin: bool = False,
        cycle: float | None = None,
        sought: bool = False,
        declared: float | None = None,
        holes: Sequence[tuple[float, float]] = (),
        joined: bool = False,
    ) -> None:
        self.counts = Counts()
        self.gaps: list[Gap] = []
        self.restarts = 0
        self.irregular = False
        self._rate = sample_rate
        self._first = round(start * sample_rate)
        self._last = None if duration is None else self._first + round(duration * sample_rate)
        self._sought = sought
        self._longest_gap = 0 if joined else round(max(LONGEST_GAP_SECONDS, declared or 0.0) * sample_rate)
        self._tolerated = round(TOLERATED_SECONDS * sample_rate)
        self._holes = deque((round(start * sample_rate), round(length * sample_rate)) for start, length in holes)
        self._waiting: deque[tuple[int, int]] = deque()
        self._waiting_samples = 0
        self._cursor = 0
        self._shift = -round(origin * sample_rate)
        self._exact_origin = exact_origin
        self._cycle = round(cycle * sample_rate) if cycle else None
        self._next_pts: int | None = None

    @property
    def finished(self) -> bool:
        """Whether the requested part has its last sample."""
        return self._last is not None and self._cursor >= self._last

    @property
    def position(self) -> int:
        """Samples from the recording's beginning to the end of what has been placed."""
        return self._cursor

    @property
    def end_pts(self) -> int | None:
        """The timestamp at which the last frame that has been placed ends; None before the first."""
        return self._next_pts

    def place(self, frames: Iterable[tuple[int, int]], *, ended: bool = False) -> Iterator[Piece]:
        """What the output consists of next.

        Args:
            frames: timestamp and number of samples of each.
            ended: there are no more frames.
        """
        for frame in frames:
            self._waiting.append(frame)
            self._waiting_samples += frame[1]
        if self._next_pts is None and len(self._waiting) < 2 and not ended:
            return
        while self._waiting and not self.finished:
            pts, samples = self._waiting[0]
            if self._next_pts is None and not self._sought and self._begins_oddly:
                self.irregular = True
                if not ended and not self._sees_enough:
                    return
                self._correct_first()
                pts, samples = self._waiting[0]
            while self._holes and pts + self._shift >= self._holes[0][0] - self._tolerated:
                start, length = self._holes.popleft()
                if self._next_pts is not None or pts + self._shift < start + length - self._tolerated:
                    self._shift += length
            if self._next_pts is None:
                yield from self._begin(pts)
            difference = pts + self._shift - self._cursor
            in_place = -RESTART_SECONDS * self._rate <= difference <= self._tolerated
            self.irregular |= self._jumps(pts) or not in_place
            if not in_place:
                if not ended and not self._sees_enough:
                    return
                yield from self._adjust()
            self._waiting.popleft()
            self._waiting_samples -= samples
            self._next_pts = pts + samples
            self.counts.decoded += samples
            yield from self._emit(samples, sound=True)

    def extend(self, seconds: float) -> Iterator[Piece]:
        """Silence up to ``seconds`` of the recording, if all frames have been placed and end before."""
        missing = round(seconds * self._rate) - self._cursor
        if 0 < missing <= self._longest_gap and self._next_pts is not None and not self.finished:
            self.gaps.append(Gap(missing, self._next_pts, self._next_pts + missing, self.restarts))
            yield from self._emit(missing, sound=False)

    def _jumps(self, pts: int) -> bool:
        return self._next_pts is not None and abs(pts - self._next_pts) > REGULAR_SECONDS * self._rate

    @property
    def _begins_oddly(self) -> bool:
        (pts, samples), *others = islice(self._waiting, 2)
        return any(abs(other - pts - samples) > self._tolerated for other, _ in others)

    def _correct_first(self) -> None:
        """The first timestamp may be of another clock than all that follow: ffmpeg scales it with a later rate."""
        (pts, samples), *_ = self._waiting
        offsets = [found - pts - before for found, before in self._ahead()]
        if len(offsets) > 2 and abs(offsets[1] - median_high(offsets[1:])) <= self._tolerated:
            self._waiting[0] = (pts + offsets[1], samples)

    @property
    def _sees_enough(self) -> bool:
        enough = self._waiting_samples > LOOKAHEAD_SECONDS * self._rate
        return enough or len(self._waiting) > MAX_LOOKAHEAD_FRAMES

    def _begin(self, pts: int) -> Iterator[Piece]:
        self._next_pts = pts
        position = pts + self._shift
        if self._cycle and position < -self._cycle // 2:
            self._shift += self._cycle
            position += self._cycle
        delayed = position < 0 and -position <= self._rate // 10 and not self._exact_origin
        if delayed or position > self._longest_gap:
            self._shift -= position  # the decoder's delay, or another clock
            position = 0
        if self._sought:
            self._cursor = min(position, self._first)
        elif position < 0:
            self._cursor = position
        if position > self._cursor:
            yield from self._emit(position - self._cursor, sound=False)

    def _adjust(self) -> Iterator[Piece]:
        """Add silence, or follow timestamps that begin again, if the next frame's jump lasts.

        Silence is as long as the frames after the jump agree on: one of them may have a wrong timestamp, and those of a
        burst come too late. Later jumps among them, forward or back, do not make it longer.
        """
        differences = [pts + self._shift - self._cursor - before for pts, before in self._ahead()]
        restart = -RESTART_SECONDS * self._rate
        steps = self._next_pts is not None and abs(self._waiting[0][0] - self._next_pts) > -restart
        if differences[0] < restart:
            if median_high(differences) < restart:
                self._shift -= max(differences[:WRONG_FRAMES])
                self.restarts += steps
            return
        agreed = sorted(difference for difference in differences if difference >= restart)
        is_wrong = len(agreed) > WRONG_FRAMES and agreed[1] - agreed[0] > WRONG_SECONDS * self._rate
        lasting = agreed[1 if is_wrong else 0]
        if lasting > self._longest_gap:
            self._shift -= lasting
            self.restarts += steps
        elif lasting > self._tolerated:
            self.gaps.append(Gap(lasting, self._next_pts or 0, self._waiting[0][0], self.restarts))
            yield from self._emit(lasting, sound=False)

    def _ahead(self) -> Iterator[tuple[int, int]]:
        """Each waiting frame's timestamp and the samples before it, as far as a decision looks ahead."""
        before = 0
        for pts, samples in islice(self._waiting, MAX_LOOKAHEAD_FRAMES + 1):
            yield pts, before
            before += samples
            if before > LOOKAHEAD_SECONDS * self._rate:
                return

    def _emit(self, samples: int, *, sound: bool) -> Iterator[Piece]:
        """Split at the borders of the requested part."""
        start, end = self._cursor, self._cursor + samples
        self._cursor = end
        first = min(max(start, self._first), end)
        last = end if self._last is None else max(first, min(end, self._last))
        for piece in (
            Piece(first - start, sound, False),
            Piece(last - first, sound, True),
            Piece(end - last, sound, False),
        ):
            if not piece.samples:
                continue
            if sound and not piece.keep:
                self.counts.discarded += piece.samples
            elif not sound and piece.keep:
                self.counts.added += piece.samples
            yield piece
