"""A window and its rest, which goes through the model on its own, become one again."""

from dataclasses import replace
from difflib import SequenceMatcher

from faster_whisper.tokenizer import Tokenizer

from transcriber.decoding.second_pass import Outcome, Span
from transcriber.decoding.segments import DecodedSegment

MAX_TWICE = 4
"""Tokens at a seam that may be in both."""
ALIKE = 0.85
"""Share of letters that two phrases have in common of which one is what the model wrote of the end of the other."""


def joined(first: Outcome, rest: Outcome, tokenizer: Tokenizer) -> Outcome:
    """What was made of a window up to where it settled, and of its rest from there on.

    A rest that begins before the last segment ends, since there is no pause, may begin with the same words: they are
    kept once.
    """
    offset = first.settled
    later = [_later(segment, offset) for segment in rest.segments]
    if later and first.segments and first.spans and offset < first.spans[-1].end:
        before = first.segments[-1]
        later[:1] = [_after(before, one) for one in _without_repeated(before, later[0], tokenizer)]
    return Outcome(
        [*first.segments, *later],
        [*first.spans, *(Span(start + offset, end + offset, tokens) for start, end, tokens in rest.spans)],
        offset + rest.settled,
    )


def _without_repeated(before: DecodedSegment, segment: DecodedSegment, tokenizer: Tokenizer) -> list[DecodedSegment]:
    said = [token for token in before.tokens if token < tokenizer.eot]
    again = [token for token in segment.tokens if token < tokenizer.eot]
    longest = min(MAX_TWICE, len(said), len(again))
    last, next_ = ([tokenizer.decode([token]).lower() for token in tokens] for tokens in (said[-longest:], again))
    count = next((count for count in range(longest, 0, -1) if last[-count:] == next_[:count]), 0)
    if not count:
        return [] if len(again) <= MAX_TWICE and _alike("".join(last), "".join(next_)) else [segment]
    if count == len(again):
        return []
    tokens = segment.tokens[segment.tokens.index(again[0]) + count :]
    text, words = tokenizer.decode(tokens), segment.words
    if words:
        dropped = len(segment.text) - len(text)
        starts = [sum(len(word.word) for word in words[:number]) for number in range(len(words))]
        words = [word for word, start in zip(words, starts, strict=True) if start >= dropped]
    return [replace(segment, tokens=tokens, text=text, words=words)]


def _alike(said: str, again: str) -> bool:
    """Whether all of ``again`` is what ``said`` ends with, or nearly so."""
    return SequenceMatcher(None, said[-len(again) :], again, autojunk=False).ratio() >= ALIKE


def _after(before: DecodedSegment, segment: DecodedSegment) -> DecodedSegment:
    return replace(segment, start=max(segment.start, before.end)) if segment.end > before.end else segment


def _later(segment: DecodedSegment, seconds: float) -> DecodedSegment:
    words = segment.words and [
        replace(word, start=word.start + seconds, end=word.end + seconds) for word in segment.words
    ]
    return replace(segment, start=segment.start + seconds, end=segment.end + seconds, words=words)
