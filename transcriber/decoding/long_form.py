"""faster-whisper's own long-form algorithm, for sequential mode: one window after the other, each with the text before
it. What it decides is left to it, but its loops are cut and its long segments are split as in batched mode.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Word, get_compression_ratio

from transcriber.audio.mel import FRAMES_PER_SECOND, FULL_SECONDS
from transcriber.audio.vad import Samples
from transcriber.decoding.fallback import FALLBACK_TEMPERATURES
from transcriber.decoding.options import DecodingOptions, as_transcription_options
from transcriber.decoding.repetition import without_loops
from transcriber.decoding.segments import DecodedSegment
from transcriber.decoding.thresholds import MAX_COMPRESSION_RATIO
from transcriber.decoding.tokenizers import Tokenizers
from transcriber.decoding.word_times import Aligner, Part

WINDOW_FRAMES = FULL_SECONDS * FRAMES_PER_SECOND


class LongFormDecoder:
    """Decodes audio of any length. Call it from the model's threads only."""

    def __init__(self, whisper: WhisperModel, tokenizers: Tokenizers, aligner: Aligner) -> None:
        self._whisper = whisper
        self._tokenizers = tokenizers
        self._aligner = aligner

    def decode(
        self,
        audio: Samples,
        options: DecodingOptions,
        previous_tokens: Sequence[int],
        condition_on_previous_text: bool,
    ) -> Iterator[DecodedSegment]:
        """The segments, with times in seconds of ``audio``; each ``next()`` decodes at most two windows of 30 s.

        Args:
            previous_tokens: of the text before ``audio``; if empty, ``options.initial_prompt`` is used.
        """
        # Not a shared tokenizer: if the language is detected, each window changes it.
        tokenizer = self._tokenizers.new(options.language, options.task)
        transcription = replace(
            as_transcription_options(options, tokenizer),
            temperatures=[0.0, *FALLBACK_TEMPERATURES],
            initial_prompt=list(previous_tokens) or options.initial_prompt,
            condition_on_previous_text=condition_on_previous_text,
        )
        features = self._whisper.feature_extractor(audio)
        decoded = (
            DecodedSegment(**vars(segment), language=None if options.language else tokenizer.language_code)
            for segment in self._whisper.generate_segments(features, tokenizer, transcription, log_progress=False)
        )
        for seek, segments in groupby(decoded, key=lambda segment: segment.seek):
            window = _cut_loops(list(segments), tokenizer)
            if any(segment.end - segment.start > options.max_segment_seconds for segment in window):
                encoded = self._whisper.encode(pad_or_trim(features[:, seek : seek + WINDOW_FRAMES]))
                spoken = self._tokenizers.get(window[0].language or options.language, options.task)
                start = seek / self._whisper.frames_per_second
                yield from self._split(window, spoken, encoded, start, options.max_segment_seconds)
            else:
                yield from window

    def _split(
        self, window: list[DecodedSegment], tokenizer: Tokenizer, encoded: Any, start: float, max_seconds: float
    ) -> Iterator[DecodedSegment]:
        """The segments of one window, which begins at ``start``, long ones in pieces."""
        parts: list[Part] = [
            {"of": segment, "start": segment.start - start, "end": segment.end - start, "tokens": segment.tokens}
            for segment in window
        ]
        self._aligner.split([parts], [tokenizer], encoded, [float(FULL_SECONDS)], max_seconds)
        for part in parts:
            segment: DecodedSegment = part["of"]
            if part["tokens"] is segment.tokens:
                yield segment
                continue
            text = tokenizer.decode(part["tokens"])
            words = _take(segment.words, len(text)) if segment.words else segment.words
            yield replace(
                segment,
                start=part["start"] + start,
                end=part["end"] + start,
                text=text,
                tokens=part["tokens"],
                words=words,
            )


def _cut_loops(window: list[DecodedSegment], tokenizer: Tokenizer) -> list[DecodedSegment]:
    """The segments of one window; without loops if it loops at every temperature (see ``repetition``)."""
    if window[0].compression_ratio <= MAX_COMPRESSION_RATIO:
        return window
    kept = set(without_loops([token for segment in window for token in segment.tokens], tokenizer.eot))
    found, offset = [], 0
    for segment in window:
        positions = [position for position in range(len(segment.tokens)) if offset + position in kept]
        offset += len(segment.tokens)
        if len(positions) < len(segment.tokens):
            segment = _reduce(segment, positions, tokenizer)
        if segment.text.strip():
            found.append(segment)
    ratio = get_compression_ratio("".join(segment.text for segment in found).strip())
    return [replace(segment, compression_ratio=ratio) for segment in found]


def _reduce(segment: DecodedSegment, positions: Sequence[int], tokenizer: Tokenizer) -> DecodedSegment:
    """The segment with the tokens at these positions only, and their words."""
    tokens = [segment.tokens[position] for position in positions]
    words = segment.words
    if words:
        ends = [len(tokenizer.decode(segment.tokens[: position + 1])) for position in range(len(segment.tokens))]
        starts = [sum(len(word.word) for word in words[:number]) for number in range(len(words))]
        words = [word for word, start in zip(words, starts, strict=True) if bisect_right(ends, start) in positions]
    return replace(segment, tokens=tokens, text=tokenizer.decode(tokens), words=words)


def _take(words: list[Word], length: int) -> list[Word]:
    """Remove the first words from the list, as many as make up a text of that length."""
    count, taken = 0, 0
    while count < len(words) and taken < length:
        taken += len(words[count].word)
        count += 1
    first = words[:count]
    del words[:count]
    return first
