"""The envelope of a waveform, with bounded memory; NumPy takes 11 MB, so it is loaded when one is asked for."""

import numpy as np
import numpy.typing as npt

from reelscribe.contracts.clips import MOST_POINTS
from reelscribe.errors import BadRequest

SAMPLE_BYTES = 2
BINS_PER_POINT = 16
"""With ``points`` the length of the sound is known only at its end: until then it is kept that much finer."""

Samples = npt.NDArray[np.int16]


class Envelope:
    """The lowest and the highest sample of each stretch of a sound.

    Args:
        channels: of the sound; a stretch is of all of them.
        points: so many stretches of the same length, once the sound has ended.
        per_second: instead of ``points``.
        sample_rate: Hz.

    Attributes:
        samples: of each channel, so far.
    """

    def __init__(self, channels: int, sample_rate: int, points: int | None, per_second: int | None) -> None:
        self.samples = 0
        self._channels, self._sample_rate = channels, sample_rate
        self._points, self._per_second = points, per_second
        self._width = 1
        self._pieces: list[tuple[Samples, Samples]] = []
        self._bins = 0
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        """Take in some of the sound, little-endian and interleaved.

        Raises:
            BadRequest: there are more points than can be answered.
        """
        content = self._rest + chunk
        whole = len(content) - len(content) % (SAMPLE_BYTES * self._channels)
        self._rest = content[whole:]
        samples = np.frombuffer(content[:whole], "<i2").reshape(-1, self._channels)
        if len(samples):
            self._place(samples.min(axis=1), samples.max(axis=1))

    def _place(self, low: Samples, high: Samples) -> None:
        numbers = np.arange(self.samples, self.samples + len(low), dtype=np.int64)
        bins = numbers * self._per_second // self._sample_rate if self._per_second else numbers // self._width
        starts = np.flatnonzero(np.diff(bins, prepend=-1))
        piece = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
        if bins[0] == self._bins - 1:  # the last stretch continues
            before = self._pieces[-1]
            before[0][-1], before[1][-1] = min(before[0][-1], piece[0][0]), max(before[1][-1], piece[1][0])
            piece = piece[0][1:], piece[1][1:]
        if len(piece[0]):
            self._pieces.append(piece)
        self._bins = int(bins[-1]) + 1
        self.samples += len(low)
        if self._per_second and self._bins > MOST_POINTS:
            raise BadRequest(
                f"per_second: {self.samples / self._sample_rate:.0f} s of sound have more than {MOST_POINTS} "
                "points, the most of an answer; ask for points, or fewer per_second",
                fields=["per_second"],
            )
        while self._points and self._bins > 2 * BINS_PER_POINT * self._points:
            self._halve()

    def _halve(self) -> None:
        low, high = self._joined()
        starts = np.arange(0, len(low), 2)
        self._pieces = [(np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts))]
        self._bins, self._width = len(starts), 2 * self._width

    def _joined(self) -> tuple[Samples, Samples]:
        low, high = zip(*self._pieces, strict=True)
        return np.concatenate(low), np.concatenate(high)

    def result(self) -> tuple[list[int], list[int]]:
        """The lowest and the highest of all stretches."""
        low, high = self._joined()
        if self._points:
            edges = np.arange(self._points + 1, dtype=np.int64) * self.samples // self._points
            first = edges[:-1] // self._width
            after = np.maximum(first + 1, -(-edges[1:] // self._width))
            low = np.array([low[begin:end].min() for begin, end in zip(first, after, strict=True)])
            high = np.array([high[begin:end].max() for begin, end in zip(first, after, strict=True)])
        return low.tolist(), high.tolist()
