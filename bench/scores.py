"""Comparing transcripts with what was said."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

from bench.recordings import Sentence

JOIN_SECONDS = 1.5

normal = EnglishTextNormalizer()


class Score(NamedTuple):
    """The accuracy of one transcript.

    Attributes:
        words: number of words that were said.
        errors: words substituted, deleted or inserted.
        invented: runs of five words that are transcribed more often than they were said.
        times_off: for each true start and end, the distance to the nearest transcribed one, in seconds.
    """

    words: int
    errors: int
    invented: int
    times_off: list[float]


def score(said: Sequence[Sentence], transcribed: Sequence[Sentence]) -> Score:
    """Compare texts as Whisper's authors do, with their normaliser."""
    reference, hypothesis = (normal(" ".join(one.text for one in those)).split() for those in (said, transcribed))
    invented = (Counter(runs(hypothesis)) - Counter(runs(reference))).total()
    if not reference:
        return Score(0, len(hypothesis), invented, [])
    aligned = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    errors = aligned.substitutions + aligned.deletions + aligned.insertions
    return Score(len(reference), errors, invented, times_off(said, transcribed))


def runs(words: Sequence[str], length: int = 5) -> Iterable[tuple[str, ...]]:
    return zip(*(words[first:] for first in range(length)), strict=False)


def times_off(said: Sequence[Sentence], transcribed: Sequence[Sentence]) -> list[float]:
    if not transcribed:
        return []
    starts, ends = [one.start for one in transcribed], [one.end for one in transcribed]
    return [
        *(min(abs(one.start - start) for start in starts) for one in said),
        *(min(abs(one.end - end) for end in ends) for one in said),
    ]


class JoinErrors(NamedTuple):
    """Errors within 1.5 s of where one window ends and the next one begins."""

    joins: int
    inserted: int
    deleted: int


def join_errors(said: Sequence[Sentence], windows: Sequence[Sequence[Sentence]]) -> JoinErrors:
    """Count the words inserted and deleted at the joins between windows.

    All words are aligned with the fewest edits. A word's time is estimated from the position of its letters in its
    sentence or segment. A join reaches from the last segment of a window to the first segment of the next window that
    has any.
    """
    spoken = [window for window in windows if window]
    joins = [(before[-1].end, after[0].start) for before, after in pairwise(spoken)]
    reference = [word for sentence in said for word in _timed(sentence)]
    hypothesis = [word for window in spoken for segment in window for word in _timed(segment)]
    if not reference or not hypothesis:
        return JoinErrors(len(joins), 0, 0)
    aligned = jiwer.process_words(" ".join(word for word, _ in reference), " ".join(word for word, _ in hypothesis))
    inserted = [
        hypothesis[position][1]
        for chunk in aligned.alignments[0]
        if chunk.type == "insert"
        for position in range(chunk.hyp_start_idx, chunk.hyp_end_idx)
    ]
    deleted = [
        reference[position][1]
        for chunk in aligned.alignments[0]
        if chunk.type == "delete"
        for position in range(chunk.ref_start_idx, chunk.ref_end_idx)
    ]
    return JoinErrors(len(joins), _near(inserted, joins), _near(deleted, joins))


def _near(times: Iterable[float], joins: Iterable[tuple[float, float]]) -> int:
    spans = [(min(join) - JOIN_SECONDS, max(join) + JOIN_SECONDS) for join in joins]
    return sum(any(first <= time <= last for first, last in spans) for time in times)


def _timed(sentence: Sentence) -> Iterable[tuple[str, float]]:
    """Each word with the estimated time of its middle."""
    for found in re.finditer(r"[\w']+", sentence.text.lower()):
        share = (found.start() + found.end()) / 2 / len(sentence.text)
        yield found[0], sentence.start + share * (sentence.end - sentence.start)
