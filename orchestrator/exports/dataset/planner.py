"""Puts items into shards of about the same size, each of one split."""

import math
from collections.abc import Iterator
from fractions import Fraction

from orchestrator.exports.dataset.plan import (
    ClipsSettings,
    FramesSettings,
    Item,
    PairsSettings,
    PlanSettings,
    SpeechSettings,
)

MEGABYTE = 1_000_000
TAR_BYTES = 2500
"""Of headers, padding and the record of a sample."""
UNKNOWN_SECONDS = 300.0
"""In place of a length that is not known."""
CLIP_BYTES_PER_SECOND = 200_000
PICTURE_BYTES = 150_000
MOST_ITEMS = 10_000
"""Of a shard, however small they are: rows of a list that give no sample have no size."""


class Planner:
    """Collects items; a shard is closed once it is large enough. A recording of ``speech``, ``pairs`` or ``frames`` may
    be in several.

    Sizes are estimates: how large a picture is, is known when it is made.
    """

    def __init__(self, plan: PlanSettings) -> None:
        self._settings = plan.of_kind
        self._most = plan.shard_mb * MEGABYTE
        self._open: dict[str, list[Item]] = {}
        self._bytes: dict[str, float] = {}

    def add(self, split: str, item: Item) -> Iterator[tuple[str, list[Item]]]:
        """Take an item; the shards that are closed by that."""
        for part in self._parts(item):
            self._open.setdefault(split, []).append(part)
            self._bytes[split] = self._bytes.get(split, 0.0) + self._estimate(part)
            if self._bytes[split] >= self._most or len(self._open[split]) >= MOST_ITEMS:
                yield split, self._close(split)

    def rest(self) -> Iterator[tuple[str, list[Item]]]:
        """The shards that are not large."""
        for split in list(self._open):
            yield split, self._close(split)

    def _close(self, split: str) -> list[Item]:
        del self._bytes[split]
        return self._open.pop(split)

    def _parts(self, item: Item) -> Iterator[Item]:
        """A long recording in parts, each of which is a shard of its own, or about half of one more at the end."""
        if isinstance(self._settings, FramesSettings) and item.mistake is None:
            yield from self._picture_parts(item, self._settings)
            return
        if not item.utterances:
            yield item
            return
        part, size = 0, 0.0
        for number, utterance in enumerate(item.utterances):
            size += self._utterance_bytes(utterance.end - utterance.start)
            if size >= self._most or number == len(item.utterances) - 1:
                yield item.model_copy(update={"utterances": item.utterances[part : number + 1]})
                part, size = number + 1, 0.0

    def _picture_parts(self, item: Item, settings: FramesSettings) -> Iterator[Item]:
        """The same moments as of the entire item: a part begins at a whole second after it, which is a moment."""
        seconds = _seconds(item)
        fps = Fraction(str(settings.fps))
        step = fps.denominator if seconds else 0  # in so many seconds is a whole number of moments
        of_shard = self._most / float(fps) / self._picture_bytes(settings)
        length = max(math.ceil(of_shard / step), 1) * step if step else 0
        parts = max(1, round(seconds / length)) if seconds and length else 1
        if parts == 1:
            yield item
            return
        start = item.start or 0.0
        for number in range(parts):
            last = number == parts - 1
            left = None if item.duration is None else round(item.duration - number * length, 9)
            yield item.model_copy(
                update={"start": round(start + number * length, 9), "duration": left if last else float(length)}
            )

    def _estimate(self, item: Item) -> float:
        if item.mistake is not None:
            return 0.0
        settings = self._settings
        if isinstance(settings, SpeechSettings):
            return sum(self._utterance_bytes(utterance.end - utterance.start) for utterance in item.utterances)
        seconds = _seconds(item) or UNKNOWN_SECONDS
        if isinstance(settings, ClipsSettings):
            return seconds * CLIP_BYTES_PER_SECOND
        assert isinstance(settings, FramesSettings)
        return seconds * settings.fps * self._picture_bytes(settings)

    def _picture_bytes(self, settings: FramesSettings) -> float:
        each = float(min(PICTURE_BYTES, (settings.size or 1920) ** 2 // 8) + TAR_BYTES)
        if isinstance(settings, PairsSettings):
            each += settings.audio_seconds * settings.sample_rate * settings.channels * 2
        return each

    def _utterance_bytes(self, seconds: float) -> float:
        assert isinstance(self._settings, SpeechSettings)
        return seconds * self._settings.sample_rate * 2 + TAR_BYTES


def _seconds(item: Item) -> float | None:
    """Of the part that is meant; None if that is not known."""
    if item.duration is not None or item.seconds is None:
        return item.duration
    return max(item.seconds - (item.start or 0.0), 0.0)
