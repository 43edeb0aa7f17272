"""From audio to segments, with faster-whisper's own parts; what BatchedInferencePipeline drops is kept here.

A batch of windows goes through ``options`` (how to decode), the model, ``fallback`` (again at higher temperatures),
``segments`` (cut at timestamps), ``word_times`` (long segments split, times of words) and ``second_pass`` (again, if it
went wrong). Loops are cut with ``repetition``.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import BatchedInferencePipeline

from reelscribe.contracts.transcriber import TranscribeOptions
from transcriber.audio.mel import Features, MelWindow, context_frames
from transcriber.audio.vad import SAMPLE_RATE, Samples
from transcriber.decoding.fallback import apply_fallback
from transcriber.decoding.options import DecodingOptions, as_transcription_options
from transcriber.decoding.request_check import check_request
from transcriber.decoding.rests import joined
from transcriber.decoding.second_pass import Outcome, Span, better, is_poor
from transcriber.decoding.segments import (
    SHORTEST_REST_SECONDS,
    DecodedSegment,
    DecodedWindow,
    as_segments,
    compression_ratio,
    cut_at_timestamps,
)
from transcriber.decoding.tokenizers import Tokenizers
from transcriber.decoding.window_languages import PerWindow, most_probable
from transcriber.decoding.word_times import Aligner, Part
from transcriber.model.loading import LoadedModel

MAX_RESTS = 4
"""Calls of the model for what others leave over of one window."""
WIDE_BEAM = 5
"""For rests, which are short and have little context, and for the second pass."""


class Recogniser:
    """One loaded model and how it is used. Everything but :meth:`features` and :meth:`check` uses the model:
    call it from a thread of the model pool only.

    Args:
        fitted_context: encode short windows as such, not filled up to 30 s.
    """

    def __init__(self, model: LoadedModel, fitted_context: bool = False) -> None:
        self.model = model
        self._whisper = model.whisper
        self._fitted_context = fitted_context
        self._tokenizers = Tokenizers(model.whisper)
        self._pipeline = BatchedInferencePipeline(model.whisper)
        self._aligner = Aligner(model.whisper)

    @property
    def only_language(self) -> str | None:
        """The language of a model that knows one only."""
        return self._tokenizers.only_language

    def check(self, request: TranscribeOptions) -> None:
        """
        Raises:
            BadRequest: the model cannot do it; see :func:`transcriber.decoding.request_check.check_request`.
        """
        check_request(request, self.model, self._tokenizers)

    def features(self, audio: Samples, full_context: bool = False) -> Features:
        """The log-mel spectrogram of one window, filled up to what the model is to see. Safe in any thread."""
        frames = context_frames(len(audio) / SAMPLE_RATE, self._fitted_context and not full_context)
        features: Features = pad_or_trim(self._whisper.feature_extractor(audio)[..., :-1], frames)
        return features

    def detect_language(self, features: Features, languages: Collection[str] = ()) -> tuple[str, float]:
        """The language of a window and its probability, among ``languages`` if there are any."""
        *_, detected = self._whisper.detect_language(features=features)
        return most_probable(detected, languages)

    def decode(self, windows: Sequence[MelWindow], options: DecodingOptions) -> list[list[DecodedSegment]]:
        """The segments of each window, with times in seconds of that window."""
        end_of_text = self._tokenizers.get(None, options.task).eot
        outcomes = self._decode_whole(windows, options, self._fitted_context)
        poor = [number for number, one in enumerate(outcomes) if is_poor(windows[number], one, end_of_text)]
        if poor:
            full = [windows[number].in_full_context() for number in poor]
            again = self._decode_whole(full, _with_wide_beam(options), fitted=False)
            for number, second in zip(poor, again, strict=True):
                outcomes[number] = better(windows[number], outcomes[number], second, end_of_text)
        return [one.segments for one in outcomes]

    def _decode_whole(self, windows: Sequence[MelWindow], options: DecodingOptions, fitted: bool) -> list[Outcome]:
        """Each window up to its end: what a call of the model leaves over goes through the next one."""
        outcomes = self._decode(windows, options)
        for turn in range(MAX_RESTS):
            open_ = [
                number
                for number, one in enumerate(outcomes)
                if windows[number].seconds - one.settled > SHORTEST_REST_SECONDS
            ]
            if not open_:
                break
            rests = [windows[number].rest(outcomes[number].settled, fitted) for number in open_]
            decoded = self._decode(rests, _with_wide_beam(options), keep_rest=turn == MAX_RESTS - 1)
            for number, rest in zip(open_, decoded, strict=True):
                outcomes[number] = joined(outcomes[number], rest, self._tokenizers.get(options.language, options.task))
        return outcomes

    def _decode(self, windows: Sequence[MelWindow], options: DecodingOptions, keep_rest: bool = False) -> list[Outcome]:
        """In one call for each length of windows."""
        lengths = [window.features.shape[1] for window in windows]
        found: dict[int, Outcome] = {}
        for length in set(lengths):
            numbers = [number for number, other in enumerate(lengths) if other == length]
            decoded = self._decode_together([windows[number] for number in numbers], options, keep_rest)
            found.update(zip(numbers, decoded, strict=True))
        return [found[number] for number in range(len(windows))]

    def _decode_together(
        self, windows: Sequence[MelWindow], options: DecodingOptions, keep_rest: bool
    ) -> list[Outcome]:
        tokenizer = self._tokenizers.get(options.language, options.task)
        transcription = as_transcription_options(options, tokenizer)
        features = [window.features for window in windows]
        seconds = [window.seconds for window in windows]
        pipeline = self._pipeline if options.language else self._pipeline_per_window(tokenizer, options)
        encoded, outputs = pipeline.generate_segment_batched(np.stack(features), tokenizer, transcription)
        languages = [None] * len(outputs) if options.language else self._detect_each(encoded, options.languages)
        tokenizers = [self._tokenizers.get(one, options.task) if one else tokenizer for one in languages]
        decoded = [
            apply_fallback(_decoded_window(one, output), spectrogram, self._whisper, one, transcription)
            for spectrogram, output, one in zip(features, outputs, tokenizers, strict=True)
        ]
        cuts = [
            cut_at_timestamps(self._whisper, one, tokens, window, keep_rest)
            for one, tokens, window in zip(tokenizers, decoded, windows, strict=True)
        ]
        parts = [cut.parts for cut in cuts]
        spans = [[_span(part, one.eot) for part in own] for one, own in zip(tokenizers, parts, strict=True)]
        self._aligner.split(parts, tokenizers, encoded, seconds, options.max_segment_seconds)
        if options.word_timestamps:
            self._aligner.add_words(parts, tokenizers, encoded, seconds)
        return [
            Outcome([], [], window.seconds)
            if tokens.is_silent
            else Outcome(list(as_segments(one, tokens, cut.parts, language)), own, cut.settled)
            for one, tokens, window, cut, own, language in zip(
                tokenizers, decoded, windows, cuts, spans, languages, strict=True
            )
        ]

    def _pipeline_per_window(self, tokenizer: Tokenizer, options: DecodingOptions) -> BatchedInferencePipeline:
        return BatchedInferencePipeline(PerWindow(self._whisper, tokenizer, options.languages))

    def _detect_each(self, encoded: Any, languages: Collection[str]) -> list[str]:
        """The language of each window of a batch."""
        detected = self._whisper.model.detect_language(encoded)
        return [most_probable(((name[2:-2], share) for name, share in one), languages)[0] for one in detected]


def _with_wide_beam(options: DecodingOptions) -> DecodingOptions:
    return replace(options, beam_size=max(options.beam_size, WIDE_BEAM))


def _span(part: Part, end_of_text: int) -> Span:
    return Span(float(part["start"]), float(part["end"]), sum(token < end_of_text for token in part["tokens"]))


def _decoded_window(tokenizer: Tokenizer, output: dict[str, Any]) -> DecodedWindow:
    tokens = output["tokens"]
    ratio = compression_ratio(tokenizer, tokens)
    return DecodedWindow(tokens, output["avg_logprob"], output["no_speech_prob"], ratio)
