"""The part of a stream that is still needed, addressed by positions in the complete stream."""

import numpy as np

from transcriber.audio.vad import Piece, Samples


class Tape:
    """The end of a stream, perhaps with gaps.

    Attributes:
        start: position of the first sample that may still be there.
        end: position after the last sample of the stream so far.
    """

    def __init__(self) -> None:
        self.start = self.end = 0
        self._blocks: list[tuple[int, Samples]] = []

    def add(self, samples: Samples) -> None:
        self._blocks.append((self.end, samples))
        self.end += len(samples)

    def cut(self, piece: Piece) -> Samples:
        """A copy: a view would keep all of the tape alive."""
        parts = [
            block[max(0, piece.start - at) : max(0, piece.end - at)]
            for at, block in self._blocks
            if at < piece.end and at + len(block) > piece.start
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def drop(self, before: int) -> None:
        """Forget everything before a position."""
        self.forget(self.start, before)
        self.start = max(self.start, before)

    def forget(self, start: int, end: int) -> None:
        """Forget what is between two positions."""
        kept: list[tuple[int, Samples]] = []
        for at, block in self._blocks:
            if at >= end or at + len(block) <= start:
                kept.append((at, block))
                continue
            if at < start:
                kept.append((at, np.array(block[: start - at])))
            if at + len(block) > end:
                kept.append((end, np.array(block[end - at :])))
        self._blocks = kept
