"""The times of what a person wrote: words that stayed the same keep theirs, others share the gap between them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

from orchestrator.transcripts.edits.layer import EditedSegment
from reelscribe.contracts.events import Segment, Word
from reelscribe.text.running_text import is_unspaced

SURE = 1.0
"""The probability of a word that a person wrote."""
MOST_STEPS = 10**8
"""Of a comparison with the words that were there before: a few seconds; 1500 words of speech take less."""


class Written(NamedTuple):
    """A segment as it was written; without times, they are found out."""

    text: str
    start: float | None = None
    end: float | None = None


def timed(written: Sequence[Written], start: float, end: float, replaced: Sequence[Segment]) -> list[EditedSegment]:
    """The segments with their times, between ``start`` and ``end``.

    If all that they replace have the times of words, so have they, and a segment without times is as long as its words;
    else it is as long as its share of the characters. The first begins at ``start``, the last ends at ``end``.
    """
    before = [word for segment in replaced for word in segment.words or ()]
    tokens = [list(_tokens(one.text)) for one in written]
    words: list[list[Word]] | None = None
    if replaced and all(segment.words for segment in replaced):
        aligned = iter(_aligned([token for of_one in tokens for token in of_one], before, start, end))
        words = [[next(aligned) for _ in of_one] for of_one in tokens]
    borders = _borders(written, start, end, words)
    language = next((segment.language for segment in replaced if segment.language), None)
    return [
        EditedSegment(
            start=first,
            end=last,
            text=one.text,
            words=None if words is None else [_within(word, first, last) for word in words[number]],
            language=language,
        )
        for number, (one, (first, last)) in enumerate(zip(written, borders, strict=True))
    ]


def _borders(
    written: Sequence[Written], start: float, end: float, words: Sequence[Sequence[Word]] | None
) -> list[tuple[float, float]]:
    """Where each segment begins and ends."""
    if all(one.start is not None and one.end is not None for one in written):
        return [(one.start or 0.0, one.end or 0.0) for one in written]
    reached = list(accumulate((max(1, len(one.text)) for one in written), initial=0))
    cuts = [start]
    for number in range(1, len(written)):
        cut = start + (end - start) * reached[number] / reached[-1]
        if words and words[number - 1] and words[number]:
            cut = (words[number - 1][-1].end + words[number][0].start) / 2
        least = (end - cuts[-1]) / (2 * (len(written) - number + 1))  # none is so short that no one sees it
        cuts.append(min(max(cut, cuts[-1] + least), end - least))
    return list(zip(cuts, [*cuts[1:], end], strict=True))


def _aligned(tokens: Sequence[str], before: Sequence[Word], start: float, end: float) -> list[Word]:
    """The words of a text, with the times and probabilities of those that were there before."""
    found: list[Word | None] = [None] * len(tokens)
    for place, at, size in _same([_folded(word.word) for word in before], [_folded(token) for token in tokens]):
        for offset in range(size):
            old = before[place + offset]
            found[at + offset] = old.model_copy(update={"word": tokens[at + offset]})
    return list(_filled(tokens, found, start, end))


def _same(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """The stretches that stayed: where they were, where they are, and how many words. Of texts that take too long to
    compare, first those at both ends.
    """
    head = tail = 0
    if _most_steps(before, after) > MOST_STEPS:
        shorter = min(len(before), len(after))
        head = next((number for number in range(shorter) if before[number] != after[number]), shorter)
        most = shorter - head
        tail = next((number for number in range(most) if before[-1 - number] != after[-1 - number]), most)
        yield 0, 0, head
        yield len(before) - tail, len(after) - tail, tail
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if _most_steps(old, new) <= MOST_STEPS:
        for place, at, size in SequenceMatcher(None, old, new, False).get_matching_blocks():
            yield head + place, head + at, size


def _most_steps(before: Sequence[str], after: Sequence[str]) -> int:
    """That comparing words can take: a search for each word that stayed, which looks at all words before, and at each
    of them with all that are the same after it.
    """
    old, new = Counter(before), Counter(after)
    return (old & new).total() * (len(before) + sum(count * new[word] for word, count in old.items()))


def _filled(tokens: Sequence[str], found: Sequence[Word | None], start: float, end: float) -> Iterator[Word]:
    reached = start
    for is_known, group in groupby(range(len(tokens)), lambda number: found[number] is not None):
        places = list(group)
        if is_known:
            for word in (found[place] for place in places):
                assert word
                yield word.model_copy(update={"start": max(word.start, reached), "end": max(word.end, reached)})
                reached = max(word.end, reached)
            continue
        following = found[places[-1] + 1] if places[-1] + 1 < len(tokens) else None
        until = max(following.start if following else end, reached)
        letters = list(accumulate((len(tokens[place]) for place in places), initial=0))
        cuts = [reached + (until - reached) * count / letters[-1] for count in letters]
        for place, (first, last) in zip(places, pairwise(cuts), strict=True):
            yield Word(start=first, end=last, word=tokens[place], probability=SURE)
        reached = until


def _tokens(text: str) -> Iterator[str]:
    """Words with the space before them, as models write them; a letter each in scripts without spaces."""
    for word in re.findall(r"\S+", text):
        runs = [(unspaced, "".join(letters)) for unspaced, letters in groupby(word, is_unspaced)]
        first, *others = [piece for unspaced, run in runs for piece in (run if unspaced else [run])]
        yield f" {first}"
        yield from others


def _folded(word: str) -> str:
    """As words are compared: without regard to case and to the marks around them."""
    folded = unicodedata.normalize("NFKC", word).casefold().strip()
    return re.sub(r"^\W+|\W+$", "", folded) or folded


def _within(word: Word, start: float, end: float) -> Word:
    return word.model_copy(update={"start": min(max(word.start, start), end), "end": min(max(word.end, start), end)})
