"""How windows are decoded: in our own words, and as the options of faster-whisper."""

from dataclasses import dataclass
from typing import Literal

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import TranscriptionOptions, get_suppressed_tokens

from transcriber.decoding.thresholds import MAX_COMPRESSION_RATIO, MAX_NO_SPEECH_PROB, MAX_SURE_TEMPERATURE, MIN_LOGPROB
from transcriber.decoding.word_times import APPENDED_PUNCTUATION, PREPENDED_PUNCTUATION

WIDE_BEAM = 5
"""Whisper's own; for what is short and has little context, and for the second pass."""
DEFAULT_BEAM = {"cpu": 3, "cuda": WIDE_BEAM}
"""By device: a GPU takes hardly longer with a wide one, and then all calls can share its batches."""
BEST_OF = 5
"""Samples drawn at a temperature above 0."""
FALLBACK_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Of a window that fails Whisper's thresholds, one after the other until it passes."""
SURE_TEMPERATURES = tuple(one for one in FALLBACK_TEMPERATURES if one <= MAX_SURE_TEMPERATURE)


@dataclass(frozen=True)
class DecodingOptions:
    """What windows must have in common to share a call of the model.

    Attributes:
        language: None: detected in each window.
        languages: those that may be detected; empty: any.
        max_segment_seconds: longer segments are split between words.
    """

    language: str | None
    task: Literal["transcribe", "translate"] = "transcribe"
    initial_prompt: str | None = None
    hotwords: str | None = None
    word_timestamps: bool = False
    beam_size: int = WIDE_BEAM
    max_segment_seconds: float = 30.0
    languages: tuple[str, ...] = ()
    fallback_temperatures: tuple[float, ...] = FALLBACK_TEMPERATURES

    @property
    def is_prompted(self) -> bool:
        return bool(self.initial_prompt or self.hotwords)


def as_transcription_options(options: DecodingOptions, tokenizer: Tokenizer) -> TranscriptionOptions:
    """The options as faster-whisper takes them, with Whisper's thresholds; a batch is decoded at temperature 0."""
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
        temperatures=[0.0, *options.fallback_temperatures],
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
