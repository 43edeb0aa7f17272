"""What the model has decoded in a window, and the segments that become of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Word, get_compression_ratio

from transcriber.decoding.thresholds import MAX_COMPRESSION_RATIO, MAX_NO_SPEECH_PROB, MIN_LOGPROB
from transcriber.decoding.word_times import Part


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
    """The tokens of a window, with the scores that Whisper's thresholds apply to."""

    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float = 0.0

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


def cut_at_timestamps(whisper: WhisperModel, tokenizer: Tokenizer, window: DecodedWindow, seconds: float) -> list[Part]:
    """The parts of a window of that length; each becomes a segment."""
    tokens = window.tokens
    parts, _, _ = whisper._split_segments_by_timestamps(
        tokenizer=tokenizer,
        tokens=tokens,
        time_offset=0.0,
        segment_size=ceil(seconds) * whisper.frames_per_second,
        segment_duration=seconds,
        seek=0,
    )
    # Text after the last pair of timestamps: the long-form algorithm decodes it again in its next window, the batched
    # one has no next window and would lose it.
    rest = tokens[sum(len(part["tokens"]) for part in parts) :]
    if tokenizer.decode(rest).strip():
        parts.append({"seek": 0, "start": 0.0, "end": seconds, "tokens": rest})
    for part in parts:  # a lone segment is split off as if its only timestamp were its end
        spoken = part["tokens"]
        if spoken and spoken[0] >= tokenizer.timestamp_begin:
            part["start"] = (spoken[0] - tokenizer.timestamp_begin) * whisper.time_precision
        if spoken and spoken[-1] < tokenizer.timestamp_begin:
            part["end"] = seconds
    return list(parts)


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
