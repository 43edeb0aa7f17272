"""Second pass: windows whose segments leave speech out or repeat themselves are decoded again in two halves.

Whisper's thresholds miss the two most frequent mistakes of decoding 30 s in one piece: a sentence that is left out
keeps the log probability high, and one that is written twice keeps the compression ratio low. The halves are taken if
their quality score is better; ``make bench-accuracy`` shows the effect on the word error rate. Windows that fail the
thresholds are decoded again by ``fallback``.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from transcriber.audio.mel import MelWindow
from transcriber.decoding.repetition import repeats
from transcriber.decoding.segments import DecodedSegment
from transcriber.decoding.thresholds import MAX_NO_SPEECH_PROB, MIN_LOGPROB

LEFT_OUT_SECONDS = 1.0
"""A stretch of this length without a segment was left out, unless the window may hold a pause as long."""
POOR_SCORE = 3.0
"""Windows with this quality score or a worse one are decoded again."""
SCORE_PER_SECOND = 2.0
"""A second that was left out counts as much as two repeated tokens."""
SHORTEST_PHRASE = 2
SHORTEST_WINDOW_SECONDS = 8.0
MAX_CUTS = 2
"""A window is decoded in quarters at most, and only if its halves are better already."""

Decode = Callable[[Sequence[MelWindow]], list[list[DecodedSegment]]]


def run_second_pass(
    windows: Sequence[MelWindow],
    decoded: list[list[DecodedSegment]],
    decode: Decode,
    end_of_text: int,
    cuts: int = MAX_CUTS,
    only: Collection[int] | None = None,
) -> list[list[DecodedSegment]]:
    """The segments of each window; windows with a poor quality score get those of their halves if these are better.

    Args:
        decoded: the segments of each window from the first pass, with times in seconds of the window.
        decode: decodes windows together; it gets at most as many in one call as there are here.
        end_of_text: tokens from this one on are no text, but timestamps.
        only: numbers of the windows to consider; None: all.
    """
    scores = [quality_score(window, segments, end_of_text) for window, segments in zip(windows, decoded, strict=True)]
    numbers = range(len(windows)) if only is None else only
    poor = [number for number in numbers if scores[number] >= POOR_SCORE]
    # Not a window without a word: the model finds no speech in it.
    poor = [number for number in poor if decoded[number] and windows[number].seconds >= SHORTEST_WINDOW_SECONDS]
    if not poor or not cuts:
        return decoded
    halves = [windows[number].halves(_middle(windows[number])) for number in poor]
    befores, behinds = zip(*halves, strict=True)
    firsts, seconds = decode(befores), decode(behinds)
    promising = [
        index
        for index, number in enumerate(poor)
        if quality_score(befores[index], firsts[index], end_of_text)
        + quality_score(behinds[index], seconds[index], end_of_text)
        < scores[number]
    ]
    firsts = run_second_pass(befores, firsts, decode, end_of_text, cuts - 1, promising)
    seconds = run_second_pass(behinds, seconds, decode, end_of_text, cuts - 1, promising)
    result = list(decoded)
    for number, (before, behind), first, second in zip(poor, halves, firsts, seconds, strict=True):
        score = quality_score(before, first, end_of_text) + quality_score(behind, second, end_of_text)
        joined = [*first, *(_move(segment, before.seconds) for segment in second)]
        if _is_sure(joined) and (score, -_logprob(joined)) < (scores[number], -_logprob(decoded[number])):
            result[number] = joined
    return result


def quality_score(window: MelWindow, segments: Sequence[DecodedSegment], end_of_text: int) -> float:
    """How much of a window is probably repeated or left out, in tokens; 0 is best, and the score of windows
    whose pauses are unknown."""
    if window.pauses is None:
        return 0.0
    text = [token for segment in segments for token in segment.tokens if token < end_of_text]
    repeated = sum(len(again) for again in repeats(text, times=2, shortest=SHORTEST_PHRASE))
    return repeated + SCORE_PER_SECOND * _left_out(window, segments)


def _is_sure(segments: Sequence[DecodedSegment]) -> bool:
    """Whether the segments pass Whisper's thresholds; if not, any words would cover what was left out."""
    return all(
        segment.avg_logprob >= MIN_LOGPROB and segment.no_speech_prob <= MAX_NO_SPEECH_PROB for segment in segments
    )


def _left_out(window: MelWindow, segments: Sequence[DecodedSegment]) -> float:
    """Seconds of the stretches that no segment covers."""
    ends = [0.0]
    for segment in segments:
        ends.append(max(ends[-1], segment.end))
    starts = [*(segment.start for segment in segments), window.seconds]
    gaps = [float(start - end) for start, end in zip(starts, ends, strict=True)]
    return sum((gap for gap in gaps if gap >= max(LEFT_OUT_SECONDS, window.longest_pause)), 0.0)


def _middle(window: MelWindow) -> float:
    """The pause next to the middle, or the middle itself; in seconds."""
    middle = window.seconds / 2
    inner = [pause for pause in window.pauses or () if abs(pause - middle) <= middle / 2]
    return min(inner, key=lambda pause: abs(pause - middle), default=middle)


def _move(segment: DecodedSegment, seconds: float) -> DecodedSegment:
    words = segment.words and [
        replace(word, start=word.start + seconds, end=word.end + seconds) for word in segment.words
    ]
    return replace(segment, start=segment.start + seconds, end=segment.end + seconds, words=words)


def _logprob(segments: Sequence[DecodedSegment]) -> float:
    """Of a token, on average."""
    tokens = sum(len(segment.tokens) for segment in segments)
    return sum(segment.avg_logprob * len(segment.tokens) for segment in segments) / tokens if tokens else -float("inf")
