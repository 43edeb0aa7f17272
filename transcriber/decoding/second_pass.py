"""A second look at windows whose segments leave speech out or repeat themselves: each is heard again in two halves.

Whisper's thresholds do not see these two, the most frequent faults of hearing 30 s in one go: a sentence that is
skipped leaves the log probability high, and one that is told twice leaves the compression ratio low. Halves are
preferred where they leave less doubt; ``make bench-accuracy`` shows what that does to the word error rate.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from faster_whisper.transcribe import Segment

from transcriber.audio.mel import MelWindow
from transcriber.decoding.repetition import repeats
from transcriber.decoding.thresholds import MAX_NO_SPEECH_PROB, MIN_LOGPROB

LEFT_OUT_SECONDS = 1.0
"""Speech without a segment for so long was left out, where no pause in the window can be as long."""
LEAST_DOUBT = 3.0
"""In repeated tokens; a second that was left out weighs as much as two."""
PER_SECOND = 2.0
SHORTEST_PHRASE = 2
SHORTEST_WINDOW_SECONDS = 8.0
MOST_CUTS = 2
"""A window is heard in quarters at most, and only where its halves leave less doubt already."""

AnySegment = TypeVar("AnySegment", bound=Segment)
Listen = Callable[[Sequence[MelWindow]], list[list[AnySegment]]]


def look_again(
    windows: Sequence[MelWindow],
    heard: list[list[AnySegment]],
    listen: Listen[AnySegment],
    end_of_text: int,
    cuts: int = MOST_CUTS,
    only: Collection[int] | None = None,
) -> list[list[AnySegment]]:
    """The segments of each window, those of a doubtful one perhaps from its halves.

    Args:
        heard: the segments of each window, with times in seconds of it.
        listen: hears windows together; it is given no more at once than there are here.
        end_of_text: tokens from this one on are no text, but timestamps.
        only: the places of those to look at; all, if None.
    """
    doubts = [doubt(window, segments, end_of_text) for window, segments in zip(windows, heard, strict=True)]
    places = range(len(windows)) if only is None else only
    doubtful = [number for number in places if doubts[number] >= LEAST_DOUBT]
    # A window without a word is not doubted: the model hears nobody in it.
    doubtful = [number for number in doubtful if heard[number] and windows[number].seconds >= SHORTEST_WINDOW_SECONDS]
    if not doubtful or not cuts:
        return heard
    halves = [windows[number].halves(_cut(windows[number])) for number in doubtful]
    befores, behinds = zip(*halves, strict=True)
    firsts, seconds = listen(befores), listen(behinds)
    promising = [
        place
        for place, number in enumerate(doubtful)
        if doubt(befores[place], firsts[place], end_of_text) + doubt(behinds[place], seconds[place], end_of_text)
        < doubts[number]
    ]
    firsts = look_again(befores, firsts, listen, end_of_text, cuts - 1, promising)
    seconds = look_again(behinds, seconds, listen, end_of_text, cuts - 1, promising)
    result = list(heard)
    for number, (before, behind), first, second in zip(doubtful, halves, firsts, seconds, strict=True):
        left = doubt(before, first, end_of_text) + doubt(behind, second, end_of_text)
        joined = [*first, *(_moved(segment, before.seconds) for segment in second)]
        if _is_sure(joined) and (left, -_logprob(joined)) < (doubts[number], -_logprob(heard[number])):
            result[number] = joined
    return result


def doubt(window: MelWindow, segments: Sequence[Segment], end_of_text: int) -> float:
    """How much of a window may be told twice or left out, in tokens; 0 where that cannot be known."""
    if window.pauses is None:
        return 0.0
    text = [token for segment in segments for token in segment.tokens if token < end_of_text]
    told_again = sum(len(again) for again in repeats(text, times=2, shortest=SHORTEST_PHRASE))
    return told_again + PER_SECOND * _left_out(window, segments)


def _is_sure(segments: Sequence[Segment]) -> bool:
    """Whether Whisper's thresholds take these for what is said: any words would cover what was left out."""
    return all(
        segment.avg_logprob >= MIN_LOGPROB and segment.no_speech_prob <= MAX_NO_SPEECH_PROB for segment in segments
    )


def _left_out(window: MelWindow, segments: Sequence[Segment]) -> float:
    """Seconds of the stretches that no segment covers."""
    ends = [0.0]
    for segment in segments:
        ends.append(max(ends[-1], segment.end))
    starts = [*(segment.start for segment in segments), window.seconds]
    gaps = [float(start - end) for start, end in zip(starts, ends, strict=True)]
    return sum((gap for gap in gaps if gap >= max(LEFT_OUT_SECONDS, window.longest_pause)), 0.0)


def _cut(window: MelWindow) -> float:
    """The pause next to the middle, or the middle itself."""
    middle = window.seconds / 2
    inner = [pause for pause in window.pauses or () if abs(pause - middle) <= middle / 2]
    return min(inner, key=lambda pause: abs(pause - middle), default=middle)


def _moved(segment: AnySegment, seconds: float) -> AnySegment:
    words = segment.words and [
        replace(word, start=word.start + seconds, end=word.end + seconds) for word in segment.words
    ]
    return replace(segment, start=segment.start + seconds, end=segment.end + seconds, words=words)


def _logprob(segments: Sequence[Segment]) -> float:
    """Of a token, on average."""
    tokens = sum(len(segment.tokens) for segment in segments)
    return sum(segment.avg_logprob * len(segment.tokens) for segment in segments) / tokens if tokens else -float("inf")
