"""From audio to segments, with faster-whisper's own parts; what BatchedInferencePipeline drops is kept here.

A window takes the calls of ``passes``: a first one, others for what is left over (``rests``), and a ``second_pass`` if
it went wrong. A call goes through ``options`` (how to decode), the model, ``fallback`` (again at higher temperatures),
``segments`` (cut at timestamps) and ``word_times`` (long segments split, times of words). Loops are cut with
``repetition``.
"""

from collections.abc import Collection, Hashable, Sequence
from functools import partial
from typing import Any

import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import BatchedInferencePipeline

from reelscribe.contracts.transcriber import TranscribeFields, TranscribeOptions
from transcriber.audio.mel import Features, MelWindow, context_frames, filled_up
from transcriber.audio.vad import SAMPLE_RATE, Samples
from transcriber.decoding.fallback import apply_fallback
from transcriber.decoding.options import DecodingOptions, as_transcription_options
from transcriber.decoding.passes import Call, Passes
from transcriber.decoding.request_check import check_request
from transcriber.decoding.second_pass import Outcome, Span, slow_seconds
from transcriber.decoding.segments import (
    DecodedWindow,
    as_segments,
    compression_ratio,
    cut_at_timestamps,
    end_in_last_word,
)
from transcriber.decoding.tokenizers import Tokenizers
from transcriber.decoding.vocabulary import with_fitting_vocabulary
from transcriber.decoding.window_languages import PerWindow, most_probable
from transcriber.decoding.word_times import Aligner, Part
from transcriber.model.loading import LoadedModel

FIRST_WORDS = 3
"""Of a window; what was left out before them is aligned with them."""


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

    def with_fitting_vocabulary(self, request: TranscribeFields) -> TranscribeFields:
        """See :func:`transcriber.decoding.vocabulary.with_fitting_vocabulary`."""
        return with_fitting_vocabulary(request, self.model)

    def features(self, audio: Samples) -> Features:
        """The log-mel spectrogram of one window, filled up to what the model is to see. Safe in any thread."""
        frames = context_frames(len(audio) / SAMPLE_RATE, self._fitted_context)
        return filled_up(self._whisper.feature_extractor(audio)[..., :-1], frames)

    def detect_language(self, features: Features, languages: Collection[str] = ()) -> tuple[str, float]:
        """The language of a window and its probability, among ``languages`` if there are any."""
        (detected,) = self._detect_each(self._whisper.encode(features), languages)
        return detected

    def passes(self, window: MelWindow, options: DecodingOptions) -> Passes:
        """The calls that a window takes; its segments have times in seconds of the window. Safe in any thread."""
        return Passes(window, options, self._tokenizers.get(options.language, options.task), self._fitted_context)

    def key(self, call: Call) -> Hashable:
        """Calls with equal keys can be made together. Safe in any thread.

        On a CPU, they have the same length. A GPU needs full batches more than short windows.
        """
        return call.options if self.model.device == "cuda" else (call.options, call.window.frames)

    def decode(self, calls: Sequence[Call]) -> list[Outcome]:
        """What comes out of calls with equal keys, made together."""
        options = calls[0].options
        tokenizer = self._tokenizers.get(options.language, options.task)
        transcription = as_transcription_options(options, tokenizer)
        windows = [call.window for call in calls]
        longest = max(window.frames for window in windows)
        features = [filled_up(window.features, longest) for window in windows]
        seconds = [window.seconds for window in windows]
        pipeline = self._pipeline if options.language else self._pipeline_per_window(tokenizer, options)
        encoded, outputs = pipeline.generate_segment_batched(np.stack(features), tokenizer, transcription)
        languages: list[str | None] = [None] * len(outputs)
        if not options.language:
            languages = [language for language, _ in self._detect_each(encoded, options.languages)]
        tokenizers = [self._tokenizers.get(one, options.task) if one else tokenizer for one in languages]
        before = tokenizer.encode(options.initial_prompt or "")
        most_tokens = self._whisper.most_tokens(self._whisper.get_prompt(tokenizer, before, hotwords=options.hotwords))
        decoded = [
            apply_fallback(
                _decoded_window(one, output, most_tokens),
                partial(self._whisper.encoded_window, encoded, number, features[number]),
                self._whisper,
                one,
                transcription,
            )
            for number, (output, one) in enumerate(zip(outputs, tokenizers, strict=True))
        ]
        cuts = [
            cut_at_timestamps(self._whisper, one, tokens, call.window, call.keep_rest)
            for one, tokens, call in zip(tokenizers, decoded, calls, strict=True)
        ]
        for number, (one, tokens, call) in enumerate(zip(tokenizers, decoded, calls, strict=True)):
            parts = cuts[number].parts
            if tokens.is_cut and _is_unfinished(parts[-1], one):
                alone = self._whisper.encoded_window(encoded, number, features[number])
                words = self._aligner.words(parts, one, alone, call.window.seconds)
                cuts[number] = end_in_last_word(cuts[number], words, call.window, call.keep_rest)
        parts_of = [cut.parts for cut in cuts]
        spans = [[_span(part, one.eot) for part in own] for one, own in zip(tokenizers, parts_of, strict=True)]
        if options.is_prompted:
            # After a prompt Whisper may leave out the first words, and write that the others begin with the window.
            words_of = self._aligner.words_of_each(parts_of, tokenizers, encoded, seconds, [True] * len(calls))
            for own, words, window in zip(spans, words_of, windows, strict=True):
                own[:0] = _beginning(words, window)
        self._aligner.split(parts_of, tokenizers, encoded, seconds, options.max_segment_seconds)
        if options.word_timestamps:
            self._aligner.add_words(parts_of, tokenizers, encoded, seconds, [cut.settled for cut in cuts])
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

    def _detect_each(self, encoded: Any, languages: Collection[str]) -> list[tuple[str, float]]:
        """The language of each window of a batch, and its probability."""
        detected = self._whisper.model.detect_language(encoded)
        return [most_probable(((name[2:-2], share) for name, share in one), languages) for one in detected]


def _span(part: Part, end_of_text: int) -> Span:
    return Span(float(part["start"]), float(part["end"]), sum(token < end_of_text for token in part["tokens"]))


def _beginning(words: Sequence[Part], window: MelWindow) -> list[Span]:
    """The first words, as many of them as were aligned with most speech for their tokens."""
    firsts = [words[: count + 1] for count in range(min(FIRST_WORDS, len(words)))]
    spans = [
        Span(float(first[0]["start"]), float(first[-1]["end"]), sum(len(word["tokens"]) for word in first))
        for first in firsts
    ]
    return [max(spans, key=lambda span: slow_seconds(window, span))] if spans else []


def _is_unfinished(part: Part, tokenizer: Tokenizer) -> bool:
    """Whether it is ended by no timestamp."""
    tokens = part["tokens"]
    return bool(tokens) and tokens[-1] < tokenizer.timestamp_begin


def _decoded_window(tokenizer: Tokenizer, output: dict[str, Any], most_tokens: int) -> DecodedWindow:
    tokens = output["tokens"]
    ratio = compression_ratio(tokenizer, tokens)
    is_cut = len(tokens) >= most_tokens
    return DecodedWindow(tokens, output["avg_logprob"], output["no_speech_prob"], ratio, is_cut=is_cut)
