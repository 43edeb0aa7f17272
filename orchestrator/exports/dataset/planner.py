"""Puts items into shards of about the same size, each of one split."""

from collections.abc import Iterator

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


class Planner:
    """Collects items; a shard is closed once it is large enough. A recording of ``speech`` may be in several.

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
            if self._bytes[split] >= self._most:
                yield split, self._close(split)

    def rest(self) -> Iterator[tuple[str, list[Item]]]:
        """The shards that are not large."""
        for split in list(self._open):
            yield split, self._close(split)

    def _close(self, split: str) -> list[Item]:
        del self._bytes[split]
        return self._open.pop(split)

    def _parts(self, item: Item) -> Iterator[Item]:
        """The utterances of a long recording in parts, none of which is larger than a shard."""
        if not item.utterances:
            yield item
            return
        part, size = 0, 0.0
        for number, utterance in enumerate(item.utterances):
            size += self._utterance_bytes(utterance.end - utterance.start)
            if size >= self._most or number == len(item.utterances) - 1:
                yield item.model_copy(update={"utterances": item.utterances[part : number + 1]})
                part, size = number + 1, 0.0

    def _estimate(self, item: Item) -> float:
        if item.mistake is not None:
            return 0.0
        settings = self._settings
        if isinstance(settings, SpeechSettings):
            return sum(self._utterance_bytes(utterance.end - utterance.start) for utterance in item.utterances)
        seconds = item.duration or item.seconds or UNKNOWN_SECONDS
        if isinstance(settings, ClipsSettings):
            return seconds * CLIP_BYTES_PER_SECOND
        assert isinstance(settings, FramesSettings)
        each = float(min(PICTURE_BYTES, (settings.size or 1920) ** 2 // 8) + TAR_BYTES)
        if isinstance(settings, PairsSettings):
            each += settings.audio_seconds * settings.sample_rate * settings.channels * 2
        return seconds * settings.fps * each

    def _utterance_bytes(self, seconds: float) -> float:
        assert isinstance(self._settings, SpeechSettings)
        return seconds * self._settings.sample_rate * 2 + TAR_BYTES
