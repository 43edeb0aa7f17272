"""From audio to segments with faster-whisper's own parts; what BatchedInferencePipeline drops is kept here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import (
    BatchedInferencePipeline,
    Segment,
    TranscriptionOptions,
    Word,
    get_compression_ratio,
    get_suppressed_tokens,
)

from machine.errors import BadRequest
from transcriber.models import LoadedModel
from transcriber.speech import Samples

Features = npt.NDArray[np.float32]

BEAM_SIZE = 5
FALLBACK_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
MAX_COMPRESSION_RATIO = 2.4
MIN_LOGPROB = -1.0
MAX_NO_SPEECH_PROB = 0.6
PREPENDED_PUNCTUATION = "\"'“¿([{-"
APPENDED_PUNCTUATION = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001


@dataclass(frozen=True)
class DecodingOptions:
    """What windows must have in common to share a call of the model."""

    language: str
    task: Literal["transcribe", "translate"] = "transcribe"
    initial_prompt: str | None = None
    hotwords: str | None = None
    word_timestamps: bool = False


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
    def good(self) -> bool:
        return self.compression_ratio <= MAX_COMPRESSION_RATIO and self.avg_logprob >= MIN_LOGPROB


class Recogniser:
    """One loaded model and how it is asked. Everything but :meth:`features` and :meth:`check` uses the model:
    call it from the model thread only.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self._whisper = model.whisper
        self._pipeline = BatchedInferencePipeline(model.whisper)
        self._tokenizers: dict[tuple[str, str], Tokenizer] = {}

    @property
    def only_language(self) -> str | None:
        """The language of a model that knows one only."""
        return None if self._whisper.model.is_multilingual else "en"

    def check(self, language: str | None, task: str, initial_prompt: str | None, hotwords: str | None) -> None:
        """
        Raises:
            BadRequest: the model does not know the language, cannot translate, or the hints leave no room.
        """
        known = self._whisper.supported_languages
        if language is not None and language not in known:
            allowed = "English (en) only" if len(known) == 1 else ", ".join(known)
            raise BadRequest(
                f"language: {self.model.name} does not know {language!r}; it knows {allowed}", fields=["language"]
            )
        if task == "translate" and self.only_language:
            raise BadRequest(f"{self.model.name} knows English only and cannot translate; load a multilingual model")
        encode = self._tokenizer(known[0], "transcribe").encode
        length = sum(len(encode(" " + hint.strip())) for hint in (initial_prompt, hotwords) if hint)
        room = self._whisper.max_length // 2 - 1
        if length > room:
            raise BadRequest(f"initial_prompt and hotwords are {length} tokens together; at most {room} fit")

    def features(self, audio: Samples) -> Features:
        """The log-mel spectrogram of one window, filled up to 30 s. Safe in any thread."""
        features: Features = pad_or_trim(self._whisper.feature_extractor(audio)[..., :-1])
        return features

    def detect_language(self, features: Features) -> tuple[str, float]:
        """The language of a window and its probability."""
        language, probability, _ = self._whisper.detect_language(features=features)
        return language, float(probability)

    def decode(
        self, features: Sequence[Features], seconds: Sequence[float], options: DecodingOptions
    ) -> list[list[Segment]]:
        """The segments of each window, with times in seconds of that window.

        Args:
            features: of each window.
            seconds: length of each window.
        """
        tokenizer = self._tokenizer(options.language, options.task)
        transcription = _transcription_options(tokenizer, options)
        encoded, outputs = self._pipeline.generate_segment_batched(np.stack(features), tokenizer, transcription)
        decodings = [
            self._accepted(_decoding(tokenizer, output), window, tokenizer, transcription)
            for window, output in zip(features, outputs, strict=True)
        ]
        split = [self._split(tokenizer, *window) for window in zip(decodings, seconds, strict=True)]
        if options.word_timestamps:
            self._add_words(split, tokenizer, encoded, seconds)
        return [
            [] if decoding.silent else list(_segments(tokenizer, decoding, parts))
            for decoding, parts in zip(decodings, split, strict=True)
        ]

    def transcribe(
        self,
        audio: Samples,
        options: DecodingOptions,
        previous_tokens: Sequence[int],
        condition_on_previous_text: bool,
    ) -> Iterator[Segment]:
        """faster-whisper's own long-form algorithm; each ``next()`` decodes at most one window of 30 s.

        Args:
            previous_tokens: of the text before ``audio``; empty: ``options.initial_prompt`` stands there.
        """
        segments: Iterator[Segment]
        segments, _ = self._whisper.transcribe(
            audio,
            language=options.language,
            task=options.task,
            beam_size=BEAM_SIZE,
            temperature=[0.0, *FALLBACK_TEMPERATURES],
            compression_ratio_threshold=MAX_COMPRESSION_RATIO,
            log_prob_threshold=MIN_LOGPROB,
            no_speech_threshold=MAX_NO_SPEECH_PROB,
            initial_prompt=list(previous_tokens) or options.initial_prompt,
            hotwords=options.hotwords,
            word_timestamps=options.word_timestamps,
            condition_on_previous_text=condition_on_previous_text,
        )
        return segments

    def _tokenizer(self, language: str, task: str) -> Tokenizer:
        if (language, task) not in self._tokenizers:
            multilingual = self._whisper.model.is_multilingual
            tokenizer = Tokenizer(self._whisper.hf_tokenizer, multilingual, task=task, language=language)
            self._tokenizers[language, task] = tokenizer
        return self._tokenizers[language, task]

    def _accepted(
        self, first: _Decoding, features: Features, tokenizer: Tokenizer, options: TranscriptionOptions
    ) -> _Decoding:
        """The decoding, or a better one at a higher temperature where Whisper's thresholds call for it."""
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
        varied = [one for one in (first, second) if one.compression_ratio <= MAX_COMPRESSION_RATIO]
        return max(varied or (first, second), key=lambda decoding: decoding.avg_logprob)

    def _split(self, tokenizer: Tokenizer, decoding: _Decoding, seconds: float) -> list[dict[str, Any]]:
        """The decoding cut at its timestamps."""
        tokens = decoding.tokens
        parts, _, _ = self._whisper._split_segments_by_timestamps(
            tokenizer=tokenizer,
            tokens=tokens,
            time_offset=0.0,
            segment_size=self._frames(seconds),
            segment_duration=seconds,
            seek=0,
        )
        # Text after the last pair of timestamps: the long-form algorithm hears it again in its next window, the
        # batched one has no next window and loses it.
        rest = tokens[sum(len(part["tokens"]) for part in parts) :]
        if tokenizer.decode(rest).strip():
            parts.append({"seek": 0, "start": 0.0, "end": seconds, "tokens": rest})
        for part in parts:  # a lone segment is split off as if it began with the window, whatever its timestamp says
            if part["tokens"] and part["tokens"][0] >= tokenizer.timestamp_begin:
                part["start"] = (part["tokens"][0] - tokenizer.timestamp_begin) * self._whisper.time_precision
        return list(parts)

    def _add_words(
        self, split: list[list[dict[str, Any]]], tokenizer: Tokenizer, encoded: Any, seconds: Sequence[float]
    ) -> None:
        # faster-whisper trims a first word that follows a pause, and tells a pause by the last word of the window
        # before. Windows of a batch may be of different recordings, so each is moved a minute on from the one before:
        # it always begins after a pause, whatever else is in the batch.
        for number, parts in enumerate(split, start=1):
            _move(parts, 60 * number, self._whisper.frames_per_second)
        frames = [self._frames(length) for length in seconds]
        self._whisper.add_word_timestamps(
            split, tokenizer, encoded, frames, PREPENDED_PUNCTUATION, APPENDED_PUNCTUATION, 0.0
        )
        for number, parts in enumerate(split, start=1):
            _move(parts, -60 * number, self._whisper.frames_per_second)

    def _frames(self, seconds: float) -> int:
        return int(ceil(seconds) * self._whisper.frames_per_second)


def _move(parts: list[dict[str, Any]], seconds: int, frames_per_second: int) -> None:
    for part in parts:
        part["seek"] += seconds * frames_per_second
        for times in (part, *part.get("words", ())):
            times["start"] += seconds
            times["end"] += seconds


def _decoding(tokenizer: Tokenizer, output: dict[str, Any]) -> _Decoding:
    compression_ratio = get_compression_ratio(tokenizer.decode(output["tokens"]).strip())
    return _Decoding(output["tokens"], output["avg_logprob"], output["no_speech_prob"], compression_ratio)


def _segments(tokenizer: Tokenizer, decoding: _Decoding, parts: list[dict[str, Any]]) -> Iterator[Segment]:
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
            )


def _transcription_options(tokenizer: Tokenizer, options: DecodingOptions) -> TranscriptionOptions:
    return TranscriptionOptions(
        beam_size=BEAM_SIZE,
        best_of=BEAM_SIZE,
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
        multilingual=False,
        max_new_tokens=None,
        clip_timestamps=[],
        hallucination_silence_threshold=None,
        hotwords=options.hotwords,
    )
