"""A window and its rest, which goes through the model on its own, become one again."""

import re
from collections.abc import Sequence
from dataclasses import replace

from faster_whisper.tokenizer import Tokenizer

from transcriber.decoding.second_pass import Outcome, Span
from transcriber.decoding.segments import PIECE_OF_LETTER, DecodedSegment

MAX_TWICE = 4
"""Tokens at a seam that may be in both."""


def joined(first: Outcome, rest: Outcome, tokenizer: Tokenizer) -> Outcome:
    """What was made of a window up to where it settled, and of its rest from there on.

    A rest that begins before the last segment ends, since there is no pause, may begin with the same words: they are
    kept once.
    """
    offset = first.settled
    earlier, later = list(first.segments), [_later(segment, offset) for segment in rest.segments]
    overlap = bool(first.spans) and offset < first.spans[-1].end
    if earlier and later and overlap:
        later[:1] = _without_repeated(earlier[-1], later[0], tokenizer)
    if earlier and later:
        earlier[-1] = _before(later[0], earlier[-1])
        later[0] = _after(earlier[-1], later[0]) if overlap else later[0]
    return Outcome(
        [*earlier, *later],
        [*first.spans, *(Span(start + offset, end + offset, tokens) for start, end, tokens in rest.spans)],
        offset + rest.settled,
    )


def _without_repeated(before: DecodedSegment, segment: DecodedSegment, tokenizer: Tokenizer) -> list[DecodedSegment]:
    said = [token for token in before.tokens if token < tokenizer.eot]
    again = [token for token in segment.tokens if token < tokenizer.eot]
    longest = min(MAX_TWICE, len(said), len(again))
    last, next_ = _spelled(said[-longest:], tokenizer), _spelled(again, tokenizer)
    count = next((count for count in range(longest, 0, -1) if last[-count:] == next_[:count]), 0)
    if not count:
        cut_off = len(again) <= MAX_TWICE and _is_cut_off(tokenizer.decode(said[-longest:]), tokenizer.decode(again))
        return [] if cut_off else [segment]
    if count == len(again):
        return []
    tokens = segment.tokens[segment.tokens.index(again[0]) + count :]
    text, words = tokenizer.decode(tokens), segment.words
    if words:
        dropped = len(segment.text) - len(text)
        starts = [sum(len(word.word) for word in words[:number]) for number in range(len(words))]
        words = [word for word, start in zip(words, starts, strict=True) if start >= dropped]
    return [replace(segment, tokens=tokens, text=text, words=words)]


def _spelled(tokens: Sequence[int], tokenizer: Tokenizer) -> list[str | int]:
    """What is the same for tokens that are written alike; a part of a letter is like itself alone."""
    texts = [tokenizer.decode([token]).lower() for token in tokens]
    return [token if PIECE_OF_LETTER in text else text for token, text in zip(tokens, texts, strict=True)]


def _is_cut_off(said: str, again: str) -> bool:
    """Whether ``again`` is what ``said`` ends with, but for the end of its last word, several words in all."""
    *earlier, last = re.findall(r"\w+", again.lower()) or [""]
    *same, complete = re.findall(r"\w+", said.lower())[-len(earlier) - 1 :] or [""]
    return bool(earlier) and earlier == same and complete.startswith(last)


def _before(later: DecodedSegment, segment: DecodedSegment) -> DecodedSegment:
    """The segment, which ends before the words of a later one begin: it was aligned with some of their sound, too."""
    if not (later.words and segment.words):
        return segment
    seam = later.words[0].start
    words = [replace(word, start=min(word.start, seam), end=min(word.end, seam)) for word in segment.words]
    return replace(segment, end=min(segment.end, seam), words=words)


def _after(before: DecodedSegment, segment: DecodedSegment) -> DecodedSegment:
    return replace(segment, start=max(segment.start, before.end)) if segment.end > before.end else segment


def _later(segment: DecodedSegment, seconds: float) -> DecodedSegment:
    words = segment.words and [
        replace(word, start=word.start + seconds, end=word.end + seconds) for word in segment.words
    ]
    return replace(segment, start=segment.start + seconds, end=segment.end + seconds, words=words)
