"""The layer of edits over a transcript: which stretches of a recording have the text of a person, and what they hide.

A patch is a stretch ``[start, end)`` whose text is that of its segments, whatever a model wrote there. Patches never
overlap. What is left of a model's segment that lies partly in a patch is decided by its words: a word is hidden if its
middle is in a patch, the others stay, with times cut to what is free. A segment whose words have no times is one word.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from orchestrator.jobs.models import Record
from reelscribe.contracts.events import Segment, Word


class EditedSegment(Record):
    """A segment with the text of a person; times in seconds from the start of the recording."""

    start: float
    end: float
    text: str
    words: list[Word] | None = None
    language: str | None = None

    def as_segment(self) -> Segment:
        """With what a model says of a segment: this one is certain, and no model has tokens for it."""
        return Segment(
            **self.model_dump(),
            index=0,
            tokens=[],
            avg_logprob=0.0,
            no_speech_prob=0.0,
            compression_ratio=1.0,
        )


class Patch(Record):
    """A stretch with the text of a person: none, if nothing is said there. ``revision`` is that of the edit."""

    start: float
    end: float
    revision: int
    segments: tuple[EditedSegment, ...]

    def cut(self, start: float, end: float) -> "Patch":
        """The part of it between these times; no segment of it lies on both sides of either."""
        inside = tuple(one for one in self.segments if start <= _middle(one.start, one.end) < end)
        return Patch(start=max(self.start, start), end=min(self.end, end), revision=self.revision, segments=inside)


class ShownSegment(NamedTuple):
    """A segment of the text that readers see.

    Attributes:
        transcribed_index: of the segment of the model that this is, or a part of; None if an edit wrote it.
        altered: it is not as the model wrote it.
        revision: of the edit that wrote it.
    """

    segment: Segment
    transcribed_index: int | None
    altered: bool = False
    revision: int | None = None


def within(patches: Iterable[Patch], start: float, end: float) -> list[Patch]:
    """What of these patches is between two times."""
    return [patch.cut(start, end) for patch in patches if patch.start < end and start < patch.end]


def replaced_within(patches: Iterable[Patch], start: float, end: float, new: Iterable[Patch]) -> list[Patch]:
    """The patches, with others in place of what is between two times."""
    kept = [
        part
        for patch in patches
        for part in (patch.cut(patch.start, start), patch.cut(end, patch.end))
        if part.start < part.end
    ]
    return joined([*kept, *new])


def joined(patches: Iterable[Patch]) -> list[Patch]:
    """In order; what was one patch before it was cut is one again."""
    found: list[Patch] = []
    for patch in sorted(patches, key=lambda patch: patch.start):
        if found and (found[-1].end, found[-1].revision) == (patch.start, patch.revision):
            before = found.pop()
            patch = patch.model_copy(update={"start": before.start, "segments": (*before.segments, *patch.segments)})
        found.append(patch)
    return found


def overlay(transcribed: Sequence[Segment], patches: Sequence[Patch]) -> list[ShownSegment]:
    """What readers see of the segments of a model and of the patches over them, in order."""
    shown = [part for segment in transcribed for part in _left_of(segment, patches)]
    shown += [
        ShownSegment(segment.as_segment(), None, True, patch.revision)
        for patch in patches
        for segment in patch.segments
    ]
    return sorted(shown, key=lambda one: (one.segment.start, one.segment.end))


def _left_of(segment: Segment, patches: Sequence[Patch]) -> Iterator[ShownSegment]:
    over = [patch for patch in patches if _overlap(segment, patch)]
    if not over:
        yield ShownSegment(segment, segment.index)
        return
    words = segment.words or [Word(start=segment.start, end=segment.end, word=segment.text, probability=1.0)]
    middles = [min(max(_middle(word.start, word.end), segment.start), segment.end) for word in words]
    for start, end in _free(segment, over):
        here = [
            word
            for word, middle in zip(words, middles, strict=True)
            if start <= middle < end or middle == end == segment.end
        ]
        if not here:
            continue
        all_of_it = len(here) == len(words)
        yield ShownSegment(
            segment.model_copy(
                update={
                    "start": start,
                    "end": end,
                    "text": segment.text if all_of_it else "".join(word.word for word in here).strip(),
                    "tokens": segment.tokens if all_of_it else [],
                    "words": segment.words and [_clipped(word, start, end) for word in here],
                }
            ),
            segment.index,
            altered=True,
        )


def _overlap(segment: Segment, patch: Patch) -> bool:
    if segment.start == segment.end:
        return patch.start <= segment.start < patch.end
    return patch.start < segment.end and segment.start < patch.end


def _free(segment: Segment, over: Sequence[Patch]) -> Iterator[tuple[float, float]]:
    """The parts of a segment that are in none of the patches over it."""
    start = segment.start
    for patch in sorted(over, key=lambda patch: patch.start):
        if start < patch.start:
            yield start, patch.start
        start = max(start, patch.end)
    if start < segment.end:
        yield start, segment.end


def _clipped(word: Word, start: float, end: float) -> Word:
    return word.model_copy(update={"start": min(max(word.start, start), end), "end": min(max(word.end, start), end)})


def _middle(start: float, end: float) -> float:
    return (start + end) / 2
