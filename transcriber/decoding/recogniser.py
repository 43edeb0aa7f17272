"""From audio to segments with faster-whisper's own parts; what BatchedInferencePipeline drops is kept here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import ceil
from typing import Any, Literal

import numpy as np
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import (
    BatchedInferencePipeline,
    TranscriptionOptions,
    Word,
    get_compression_ratio,
    get_suppressed_tokens,
)
from faster_whisper.transcribe import Segment as PlainSegment

from reelscribe.contracts.transcriber import TranscribeOptions
from reelscribe.errors import BadRequest
from transcriber.audio.mel import Features, MelWindow, context_frames
from transcriber.audio.vad import SAMPLE_RATE, Samples
from transcriber.decoding.long_form import split, unlooped
from transcriber.decoding.repetition import without_loops
from transcriber.decoding.second_pass import look_again
from transcriber.decoding.thresholds import MAX_COMPRESSION_RATIO, MAX_NO_SPEECH_PROB, MIN_LOGPROB
from transcriber.decoding.word_times import APPENDED_PUNCTUATION, PREPENDED_PUNCTUATION, Aligner, Part
from transcriber.model.loading import LoadedModel

BEST_OF = 5
"""Samples drawn at a temperature above 0."""
FALLBACK_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
FRAMES = 3000
"""Of the spectrogram of a window."""


@dataclass(frozen=True)
class DecodingOptions:
    """What windows must have in common to share a call of the model.

    Attributes:
        language: None: detected in each window.
        max_segment_seconds: longer segments are split between words.
    """

    language: str | None
    task: Literal["transcribe", "translate"] = "transcribe"
    initial_prompt: str | None = None
    hotwords: str | None = None
    word_timestamps: bool = False
    beam_size: int = 5
    max_segment_seconds: float = 30.0


@dataclass
class Segment(PlainSegment):  # type: ignore[misc]  # faster-whisper has no types
    """faster-whisper's, with the language of its window where that was detected for it."""

    language: str | None = None


@dataclass(frozen=True)
class _Decoding:
    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float = 0.0

    @property
    def silent(self) -> bool:
        return self.no_speech_prob > MAX_NO_SPEECH_PROB and self.avg_logprob < MIN_LOGPROB

    @property
    def loops(self) -> bool:
        return self.compression_ratio > MAX_COMPRESSION_RATIO

    @property
    def good(self) -> bool:
        return not self.loops and self.avg_logprob >= MIN_LOGPROB


class Recogniser:
    """One loaded model and how it is asked. Everything but :meth:`features` and :meth:`check` uses the model:
    call it from a thread of the model pool only.

    Args:
        fitted_context: encode short windows as such, not filled up to 30 s.
    """

    def __init__(self, model: LoadedModel, fitted_context: bool = False) -> None:
        self.model = model
        self._whisper = model.whisper
        self._fitted_context = fitted_context
        # What CTranslate2 does not tell of a model that is unloaded.
        self._languages = [one for one in model.whisper.supported_languages if self._knows(one)]
        self._is_multilingual: bool = model.whisper.model.is_multilingual
        self._pipeline = BatchedInferencePipeline(model.whisper)
        self._aligner = Aligner(model.whisper)
        self._tokenizers: dict[tuple[str, str], Tokenizer] = {}

    @property
    def only_language(self) -> str | None:
        """The language of a model that knows one only."""
        return None if self._is_multilingual else "en"

    def check(self, request: TranscribeOptions) -> None:
        """
        Raises:
            BadRequest: the model does not know the language, cannot translate, or the hints leave no room.
        """
        language, known = request.language, self._languages
        if language is not None and language not in known:
            allowed = "English (en) only" if len(known) == 1 else ", ".join(known)
            raise BadRequest(
                f"language: {self.model.name} does not know {language!r}; it knows {allowed}", fields=["language"]
            )
        if request.multilingual and self.only_language:
            raise BadRequest(
                f"multilingual: {self.model.name} knows English only; leave it out, or load a multilingual model",
                fields=["multilingual"],
            )
        if request.task == "translate" and self.only_language:
            raise BadRequest(f"{self.model.name} knows English only and cannot translate; load a multilingual model")
        encode = self._tokenizer(known[0], "transcribe").encode
        length = sum(len(encode(" " + hint.strip())) for hint in (request.initial_prompt, request.hotwords) if hint)
        room = self._whisper.max_length // 2 - 1
        if length > room:
            raise BadRequest(f"initial_prompt and hotwords are {length} tokens together; at most {room} fit")

    def features(self, audio: Samples) -> Features:
        """The log-mel spectrogram of one window, filled up to what the model is to see. Safe in any thread."""
        frames = context_frames(len(audio) / SAMPLE_RATE, self._fitted_context)
        features: Features = pad_or_trim(self._whisper.feature_extractor(audio)[..., :-1], frames)
        return features

    def detect_language(self, features: Features) -> tuple[str, float]:
        """The language of a window and its probability."""
        language, probability, _ = self._whisper.detect_language(features=features)
        return language, float(probability)

    def decode(self, windows: Sequence[MelWindow], options: DecodingOptions) -> list[list[Segment]]:
        """The segments of each window, with times in seconds of that window."""
        end_of_text = self._tokenizer(self._languages[0], options.task).eot
        return look_again(
            windows, self._decode(windows, options), lambda some: self._decode(some, options), end_of_text
        )

    def _decode(self, windows: Sequence[MelWindow], options: DecodingOptions) -> list[list[Segment]]:
        """In one look; windows of one length go through the model together."""
        lengths = [window.features.shape[1] for window in windows]
        found: dict[int, list[Segment]] = {}
        for length in set(lengths):
            places = [place for place, other in enumerate(lengths) if other == length]
            decoded = self._decode_together([windows[place] for place in places], options)
            found.update(zip(places, decoded, strict=True))
        return [found[place] for place in range(len(windows))]

    def _decode_together(self, windows: Sequence[MelWindow], options: DecodingOptions) -> list[list[Segment]]:
        tokenizer = self._tokenizer(options.language or self._languages[0], options.task)
        transcription = _transcription_options(tokenizer, options)
        features = [window.features for window in windows]
        seconds = [window.seconds for window in windows]
        encoded, outputs = self._pipeline.generate_segment_batched(np.stack(features), tokenizer, transcription)
        languages = self._detected(encoded) if options.language is None else [None] * len(outputs)
        tokenizers = [self._tokenizer(one, options.task) if one else tokenizer for one in languages]
        decodings = [
            self._accepted(self._decoding(one, output), window, one, transcription)
            for window, output, one in zip(features, outputs, tokenizers, strict=True)
        ]
        parts = [self._parts(*window) for window in zip(tokenizers, decodings, seconds, strict=True)]
        self._aligner.split(parts, tokenizers, encoded, seconds, options.max_segment_seconds)
        if options.word_timestamps:
            self._aligner.add_words(parts, tokenizers, encoded, seconds)
        return [
            [] if decoding.silent else list(_segments(one, decoding, own, language))
            for one, decoding, own, language in zip(tokenizers, decodings, parts, languages, strict=True)
        ]

    def transcribe(
        self,
        audio: Samples,
        options: DecodingOptions,
        previous_tokens: Sequence[int],
        condition_on_previous_text: bool,
    ) -> Iterator[Segment]:
        """faster-whisper's own long-form algorithm; each ``next()`` decodes at most two windows of 30 s.

        Its loops are cut and its long segments split as in :meth:`decode`; what it decides is left to it.

        Args:
            previous_tokens: of the text before ``audio``; empty: ``options.initial_prompt`` stands there.
        """
        language = options.language or self._languages[0]
        # Not one of the shared tokenizers: where the language is detected, each window changes it.
        tokenizer = Tokenizer(self._whisper.hf_tokenizer, self._is_multilingual, task=options.task, language=language)
        transcription = replace(
            _transcription_options(tokenizer, options),
            temperatures=[0.0, *FALLBACK_TEMPERATURES],
            initial_prompt=list(previous_tokens) or options.initial_prompt,
            condition_on_previous_text=condition_on_previous_text,
        )
        features = self._whisper.feature_extractor(audio)
        heard = (
            Segment(**vars(segment), language=None if options.language else tokenizer.language_code)
            for segment in self._whisper.generate_segments(features, tokenizer, transcription, log_progress=False)
        )
        for seek, segments in groupby(heard, key=lambda segment: segment.seek):
            window = unlooped(list(segments), tokenizer)
            if any(segment.end - segment.start > options.max_segment_seconds for segment in window):
                encoded = self._whisper.encode(pad_or_trim(features[:, seek : seek + FRAMES]))
                start = seek / self._whisper.frames_per_second
                spoken = self._tokenizer(window[0].language or language, options.task)
                yield from split(window, spoken, self._aligner, encoded, start, options.max_segment_seconds)
            else:
                yield from window

    def _knows(self, language: str) -> bool:
        """faster-whisper counts languages that only the latest models have."""
        return self._whisper.hf_tokenizer.token_to_id(f"<|{language}|>") is not None

    def _tokenizer(self, language: str, task: str) -> Tokenizer:
        if (language, task) not in self._tokenizers:
            tokenizer = Tokenizer(self._whisper.hf_tokenizer, self._is_multilingual, task=task, language=language)
            self._tokenizers[language, task] = tokenizer
        return self._tokenizers[language, task]

    def _accepted(
        self, first: _Decoding, features: Features, tokenizer: Tokenizer, options: TranscriptionOptions
    ) -> _Decoding:
        """The decoding, or a better one at a higher temperature where Whisper's thresholds call for it.

        What loops at all temperatures is told once (see ``without_loops``), or not at all where
        the model itself doubts that somebody speaks.
        """
        if first.good or first.silent:
            return first
        prompt = self._whisper.get_prompt(
            tokenizer, tokenizer.encode(options.initial_prompt or ""), hotwords=options.hotwords
        )
        retried = replace(options, temperatures=list(FALLBACK_TEMPERATURES))
        result, avg_logprob, temperature, compression_ratio = self._whisper.generate_with_fallback(
            self._whisper.encode(features), prompt, tokenizer, retried
        )
        second = _Decoding(result.sequences_ids[0], avg_logprob, result.no_speech_prob, compression_ratio, temperature)
        if second.good or second.silent:
            return second
        varied = [one for one in (first, second) if not one.loops]
        best = max(varied or (first, second), key=lambda decoding: decoding.avg_logprob)
        if not best.loops:
            return best
        if best.no_speech_prob > MAX_NO_SPEECH_PROB:
            return replace(best, tokens=[])
        tokens = [best.tokens[place] for place in without_loops(best.tokens, tokenizer.eot)]
        return replace(best, tokens=tokens, compression_ratio=_compression_ratio(tokenizer, tokens))

    def _parts(self, tokenizer: Tokenizer, decoding: _Decoding, seconds: float) -> list[Part]:
        """The decoding cut at its timestamps."""
        tokens = decoding.tokens
        parts, _, _ = self._whisper._split_segments_by_timestamps(
            tokenizer=tokenizer,
            tokens=tokens,
            time_offset=0.0,
            segment_size=ceil(seconds) * self._whisper.frames_per_second,
            segment_duration=seconds,
            seek=0,
        )
        # Text after the last pair of timestamps: the long-form algorithm hears it again in its next window, the
        # batched one has no next window and loses it.
        rest = tokens[sum(len(part["tokens"]) for part in parts) :]
        if tokenizer.decode(rest).strip():
            parts.append({"seek": 0, "start": 0.0, "end": seconds, "tokens": rest})
        for part in parts:  # a lone segment is split off as if its only timestamp were its end
            spoken = part["tokens"]
            if spoken and spoken[0] >= tokenizer.timestamp_begin:
                part["start"] = (spoken[0] - tokenizer.timestamp_begin) * self._whisper.time_precision
            if spoken and spoken[-1] < tokenizer.timestamp_begin:
                part["end"] = seconds
        return list(parts)

    def _detected(self, encoded: Any) -> list[str]:
        return [str(found[0][0][2:-2]) for found in self._whisper.model.detect_language(encoded)]

    @staticmethod
    def _decoding(tokenizer: Tokenizer, output: dict[str, Any]) -> _Decoding:
        tokens = output["tokens"]
        ratio = _compression_ratio(tokenizer, tokens)
        return _Decoding(tokens, output["avg_logprob"], output["no_speech_prob"], ratio)


def _compression_ratio(tokenizer: Tokenizer, tokens: Sequence[int]) -> float:
    return float(get_compression_ratio(tokenizer.decode(tokens).strip()))


def _segments(tokenizer: Tokenizer, decoding: _Decoding, parts: list[Part], language: str | None) -> Iterator[Segment]:
    for number, part in enumerate(parts):
        text = tokenizer.decode(part["tokens"])
        if text.strip():
            yield Segment(
                id=number,
                seek=part["seek"],
                start=part["start"],
                end=part["end"],
                text=text,
                tokens=part["tokens"],
                avg_logprob=decoding.avg_logprob,
                compression_ratio=decoding.compression_ratio,
                no_speech_prob=decoding.no_speech_prob,
                words=[Word(**word) for word in part["words"]] if "words" in part else None,
                temperature=decoding.temperature,
                language=language,
            )


def _transcription_options(tokenizer: Tokenizer, options: DecodingOptions) -> TranscriptionOptions:
    return TranscriptionOptions(
        beam_size=options.beam_size,
        best_of=BEST_OF,
        patience=1,
        length_penalty=1,
        repetition_penalty=1,
        no_repeat_ngram_size=0,
        log_prob_threshold=MIN_LOGPROB,
        no_speech_threshold=MAX_NO_SPEECH_PROB,
        compression_ratio_threshold=MAX_COMPRESSION_RATIO,
        condition_on_previous_text=False,
        prompt_reset_on_temperature=0.5,
        temperatures=[0.0],
        initial_prompt=options.initial_prompt,
        prefix=None,
        suppress_blank=True,
        suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
        without_timestamps=False,
        max_initial_timestamp=1.0,
        word_timestamps=options.word_timestamps,
        prepend_punctuations=PREPENDED_PUNCTUATION,
        append_punctuations=APPENDED_PUNCTUATION,
        multilingual=options.language is None,
        max_new_tokens=None,
        clip_timestamps=[],
        hallucination_silence_threshold=None,
        hotwords=options.hotwords,
    )
