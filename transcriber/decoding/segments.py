"""What the model has decoded in a window, and the segments that become of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Word, get_compression_ratio

from transcriber.audio.mel import MelWindow
from transcriber.decoding.thresholds import MAX_COMPRESSION_RATIO, MAX_NO_SPEECH_PROB, MIN_LOGPROB
from transcriber.decoding.word_times import MAX_WORD_SECONDS, Part

LEAST_ADVANCE_SECONDS = 1.0
"""A window that settles less is not decoded again from there: it could be so again and again."""
UNHEARD_SECONDS = 0.15
"""So much speech after the last pair of timestamps is worth another window."""
MISSED_SECONDS = 0.4
"""So much speech after the end of a complete segment: its end is less exact."""
SHORTEST_REST_SECONDS = 0.2
SHORTEST_SECONDS = 0.05
NEAR_SECONDS = 0.4
OVERLAP_SECONDS = 0.1
KEPT_SECONDS = 0.2
"""Of the silence on both sides of a segment: voice activity detection misses the first and last sounds of words."""
PIECE_OF_LETTER = "\ufffd"
"""What a token is decoded as that is only a part of a letter, as in scripts that Whisper knows little of."""


@dataclass
class DecodedSegment:
    """A piece of text with its times in seconds of the window.

    The fields are those of faster-whisper's ``Segment``, and ``language``: of the window, if it was detected for it.
    """

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: list[Word] | None
    temperature: float | None
    language: str | None = None


@dataclass(frozen=True)
class DecodedWindow:
    """The tokens of a window, with the scores that Whisper's thresholds apply to.

    Attributes:
        is_cut: the model had no token left, as in fast speech: its text may end before the speech does.
    """

    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float = 0.0
    is_cut: bool = False

    @property
    def is_silent(self) -> bool:
        return self.no_speech_prob > MAX_NO_SPEECH_PROB and self.avg_logprob < MIN_LOGPROB

    @property
    def loops(self) -> bool:
        return self.compression_ratio > MAX_COMPRESSION_RATIO

    @property
    def is_good(self) -> bool:
        return not self.loops and self.avg_logprob >= MIN_LOGPROB


def compression_ratio(tokenizer: Tokenizer, tokens: Sequence[int]) -> float:
    """Of the text of the tokens."""
    return float(get_compression_ratio(tokenizer.decode(tokens).strip()))


class Cut(NamedTuple):
    """The parts of a window; each becomes a segment.

    Attributes:
        parts: in order.
        settled: second of the window up to which its speech is in them; the rest has to be decoded again.
    """

    parts: list[Part]
    settled: float


def cut_at_timestamps(
    whisper: WhisperModel, tokenizer: Tokenizer, decoded: DecodedWindow, window: MelWindow, keep_rest: bool = False
) -> Cut:
    """Cut a decoded window at its timestamps.

    Whisper does not finish a sentence that does not end in the window: what follows the last pair of timestamps is
    left to a window that starts there. If timestamps say that the window ends earlier than its speech does, by Silero
    VAD, the rest is to be decoded again, too; if there is no speech after them, there is no rest.

    Args:
        keep_rest: take the text after the last pair of timestamps as it is; there is no further window.
    """
    tokens = decoded.tokens
    parts, seek, _ = whisper._split_segments_by_timestamps(
        tokenizer=tokenizer,
        tokens=tokens,
        time_offset=0.0,
        segment_size=ceil(window.seconds) * whisper.frames_per_second,
        segment_duration=window.seconds,
        seek=0,
    )
    rest = tokens[sum(len(part["tokens"]) for part in parts) :]
    advance = seek / whisper.frames_per_second
    for part in parts:  # a lone segment is split off as if its only timestamp were its end
        spoken = part["tokens"]
        if spoken and spoken[0] >= tokenizer.timestamp_begin:
            part["start"] = (spoken[0] - tokenizer.timestamp_begin) * whisper.time_precision
        if spoken and spoken[-1] < tokenizer.timestamp_begin:
            part["end"] = window.seconds
    # Words after the end of the audio were said before it, and are there twice.
    parts = [part for part in parts if part["start"] < window.seconds - SHORTEST_SECONDS]
    while len(parts) > 1 and _repeats_in_silence(parts, window, tokenizer):
        parts.pop()
    settled = _settled(window, parts, advance, tokenizer)
    if (keep_rest or advance <= LEAST_ADVANCE_SECONDS) and tokenizer.decode(rest).strip():
        start = parts[-1]["end"] if parts else 0.0
        parts.append({"seek": 0, "start": min(start, window.seconds), "end": window.seconds, "tokens": rest})
        settled = window.seconds
    for part in parts:
        part["end"] = min(part["end"], window.seconds)
        _leave_out_silence(part, window)
    if not parts:
        parts.append({"seek": 0, "start": 0.0, "end": 0.0, "tokens": []})  # faster-whisper aligns no window without one
    return Cut(parts, window.seconds if keep_rest else settled)


def end_in_last_word(cut: Cut, words: Sequence[Part], window: MelWindow, keep_rest: bool = False) -> Cut:
    """The cut of a window whose last part was ended by the limit of tokens, not by a timestamp or the end of the text.

    That part ends where its last word begins, and the rest begins there: the word may be incomplete. What was said
    after the last token is aligned with one of the words before it, which is too long then, and counts as the last.

    Args:
        words: of all parts, aligned; see :meth:`transcriber.decoding.word_times.Aligner.words`.
        keep_rest: there is no further window: all words are kept.
    """
    *parts, last = cut.parts
    first = max((number for number, word in enumerate(words) if _is_too_long(word, window)), default=len(words) - 1)
    while first > 0 and PIECE_OF_LETTER in words[first - 1]["word"]:
        first -= 1
    end = float(words[first]["start"]) if words else 0.0
    if not max(LEAST_ADVANCE_SECONDS, last["start"]) < end < last["end"]:
        return cut
    if keep_rest:
        return Cut([*parts, {**last, "end": end}], cut.settled)
    tokens = last["tokens"][: -sum(len(word["tokens"]) for word in words[first:])]
    settled = min(_in_pause(window, end), end - OVERLAP_SECONDS)  # not in a pause after the word
    return Cut([*parts, {**last, "end": end, "tokens": tokens}], settled)


def _is_too_long(word: Part, window: MelWindow) -> bool:
    return window.speech_between(word["start"], word["end"]) > MAX_WORD_SECONDS


def _repeats_in_silence(parts: list[Part], window: MelWindow, tokenizer: Tokenizer) -> bool:
    """Whether the last part comes after all speech, and only says again what was said."""
    last = parts[-1]
    if not window.speech or last["start"] < window.speech[-1][1]:
        return False
    texts = [tokenizer.decode(part["tokens"]).strip() for part in parts]
    return texts[-1] in texts[:-1]


def _leave_out_silence(part: Part, window: MelWindow) -> None:
    """Let a part begin and end with the speech in it: the model gives it the pauses around it, too."""
    stretches = [(s, e) for s, e in window.speech or () if e > part["start"] and s < part["end"]]
    if stretches:
        part["start"] = max(part["start"], stretches[0][0] - KEPT_SECONDS)
        part["end"] = min(part["end"], stretches[-1][1] + KEPT_SECONDS)


def _settled(window: MelWindow, parts: list[Part], advance: float, tokenizer: Tokenizer) -> float:
    end = max((float(part["end"]) for part in parts if tokenizer.decode(part["tokens"]).strip()), default=0.0)
    settled = window.seconds
    if LEAST_ADVANCE_SECONDS < advance < window.seconds:  # there is text after the last pair of timestamps, or was none
        settled = advance if window.speech_between(advance, window.seconds) >= UNHEARD_SECONDS else window.seconds
    elif end > LEAST_ADVANCE_SECONDS and window.speech_between(end, window.seconds) > MISSED_SECONDS:
        settled = end
    if settled > window.seconds - SHORTEST_REST_SECONDS:
        return window.seconds
    return _in_pause(window, settled)


def _in_pause(window: MelWindow, second: float) -> float:
    """The middle of the pause next to a second, if there is one near by; else a little earlier: words are not cut."""
    if window.speech is None:
        return second
    pauses = [(earlier[1], later[0]) for earlier, later in pairwise(window.speech)]
    near = [
        (max(start, second - NEAR_SECONDS) + min(end, second + NEAR_SECONDS)) / 2
        for start, end in pauses
        if end > second - NEAR_SECONDS and start < second + NEAR_SECONDS
    ]
    return min(near, key=lambda middle: abs(middle - second), default=second - OVERLAP_SECONDS)


def as_segments(
    tokenizer: Tokenizer, window: DecodedWindow, parts: list[Part], language: str | None
) -> Iterator[DecodedSegment]:
    """The parts that have text, with the scores of their window."""
    for number, part in enumerate(parts):
        text = tokenizer.decode(part["tokens"])
        if text.strip():
            yield DecodedSegment(
                id=number,
                seek=part["seek"],
                start=part["start"],
                end=part["end"],
                text=text,
                tokens=part["tokens"],
                avg_logprob=window.avg_logprob,
                compression_ratio=window.compression_ratio,
                no_speech_prob=window.no_speech_prob,
                words=[Word(**word) for word in part["words"]] if "words" in part else None,
                temperature=window.temperature,
                language=language,
            )
