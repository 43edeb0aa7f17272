"""Second pass: the few windows in which a hole, a loop or a low probability shows are decoded again.

It is done with all that helps: the context of 30 s that Whisper was trained on, a wider beam, and no prompt, which the
model may have repeated in place of what is said. What comes out is taken if it is better by the same measure. Windows
that fail Whisper's own thresholds have been decoded at higher temperatures by ``fallback`` before.
"""

from collections.abc import Sequence
from typing import NamedTuple

from transcriber.audio.mel import MelWindow
from transcriber.decoding.repetition import repeats
from transcriber.decoding.segments import DecodedSegment
from transcriber.decoding.thresholds import MAX_NO_SPEECH_PROB, MAX_SURE_TEMPERATURE, MIN_LOGPROB
from transcriber.decoding.uncovered import gaps

LEFT_OUT_SECONDS = 0.7
"""Of speech between two segments, from which it was left out."""
POOR_SCORE = 3.0
"""A window with this quality score or a worse one is decoded again."""
POOR_LOGPROB = -0.8
"""Of a token on average, below which a window is decoded again."""
SCORE_PER_SECOND = 2.0
"""A second that was left out counts as much as two repeated tokens."""
SHORTEST_PHRASE = 3
SLOWEST_TOKEN_SECONDS = 0.5
"""Of speech; people take 0.3 s for a token. A segment with fewer tokens hides words that were left out."""


class Span(NamedTuple):
    """A part of a window that the model says it has written down: its times in seconds, and how many tokens of text."""

    start: float
    end: float
    tokens: int


class Outcome(NamedTuple):
    """What the model has made of a window.

    Attributes:
        segments: with times in seconds of the window.
        spans: what they were before words were aligned: whether words are asked for changes nothing.
        settled: second of the window up to which it was decoded.
    """

    segments: list[DecodedSegment]
    spans: list[Span]
    settled: float


def is_poor(window: MelWindow, outcome: Outcome, end_of_text: int) -> bool:
    """Whether a window is to be decoded again; one without a word is not: the model finds no speech in it."""
    if not outcome.segments:
        return False
    return quality_score(window, outcome, end_of_text) >= POOR_SCORE or _logprob(outcome.segments) < POOR_LOGPROB


def better(window: MelWindow, first: Outcome, second: Outcome, end_of_text: int) -> Outcome:
    """The one with the better quality score; of two with equal ones the more probable one."""
    if not second.segments or not _is_sure(second.segments):  # any words would cover what was left out
        return first
    return min(
        first, second, key=lambda outcome: (quality_score(window, outcome, end_of_text), -_logprob(outcome.segments))
    )


def quality_score(window: MelWindow, outcome: Outcome, end_of_text: int) -> float:
    """How much of a window is probably repeated or left out, in tokens; 0 is best."""
    text = [token for segment in outcome.segments for token in segment.tokens if token < end_of_text]
    repeated = sum(len(again) for again in repeats(text, times=2, shortest=SHORTEST_PHRASE))
    missing = sum(end - start for start, end in left_out(window, outcome))
    slow = sum(max(0.0, slow_seconds(window, span)) for span in outcome.spans)
    return repeated + SCORE_PER_SECOND * (missing + slow)


def slow_seconds(window: MelWindow, span: Span) -> float:
    """Of the speech in a span, what its tokens do not account for; negative if they do."""
    return window.speech_between(span.start, span.end) - SLOWEST_TOKEN_SECONDS * span.tokens


def left_out(window: MelWindow, outcome: Outcome) -> list[tuple[float, float]]:
    """The stretches that hold speech and no segment; nothing is known of a window without voice activity detection."""
    if window.speech is None:
        return []
    covered = [(span.start, span.end) for span in outcome.spans]
    found = gaps(window.speech, covered, window.seconds)
    return [(gap.start, gap.end) for gap in found if gap.speech_seconds > LEFT_OUT_SECONDS]


def _is_sure(segments: Sequence[DecodedSegment]) -> bool:
    return all(
        segment.avg_logprob >= MIN_LOGPROB
        and segment.no_speech_prob <= MAX_NO_SPEECH_PROB
        and (segment.temperature or 0.0) <= MAX_SURE_TEMPERATURE
        for segment in segments
    )


def _logprob(segments: Sequence[DecodedSegment]) -> float:
    """Of a token, on average."""
    tokens = sum(len(segment.tokens) for segment in segments)
    return sum(segment.avg_logprob * len(segment.tokens) for segment in segments) / tokens if tokens else -float("inf")
