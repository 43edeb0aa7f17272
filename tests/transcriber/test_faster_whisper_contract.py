"""What the transcriber relies on in faster-whisper, beyond ``WhisperModel(...)``: none of it is documented.

pyproject.toml pins the minor version. After an update, a failure here says what has changed; the modules named below
are the ones to read again.
"""

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import (
    BatchedInferencePipeline,
    Segment,
    Word,
    get_compression_ratio,
    get_suppressed_tokens,
    merge_punctuations,
)
from faster_whisper.utils import get_assets_path
from faster_whisper.vad import SpeechTimestampsMap, VadOptions, collect_chunks, get_speech_timestamps

from transcriber.decoding.options import DecodingOptions, as_transcription_options
from transcriber.decoding.segments import DecodedSegment
from transcriber.model.loading import LoadedModel

CALLED: list[tuple[Callable[..., Any], str]] = [
    # decoding.recogniser
    (BatchedInferencePipeline, "model"),
    (BatchedInferencePipeline.generate_segment_batched, "self, features, tokenizer, options"),
    (WhisperModel.encode, "self, features"),
    # decoding.fallback
    (WhisperModel.get_prompt, "self, tokenizer, previous_tokens, without_timestamps=False, prefix=None, hotwords=None"),
    (WhisperModel.generate_with_fallback, "self, encoder_output, prompt, tokenizer, options"),
    # decoding.segments
    (
        WhisperModel._split_segments_by_timestamps,
        "self, tokenizer, tokens, time_offset, segment_size, segment_duration, seek",
    ),
    (get_compression_ratio, "text"),
    # decoding.word_times
    (
        WhisperModel.find_alignment,
        "self, tokenizer, text_tokens, encoder_output, num_frames, median_filter_width=7",
    ),
    (
        WhisperModel.add_word_timestamps,
        "self, segments, tokenizer, encoder_output, num_frames, prepend_punctuations, append_punctuations, "
        "last_speech_timestamp",
    ),
    (merge_punctuations, "alignment, prepended, appended"),
    # decoding.tokenizers, decoding.options
    (Tokenizer, "tokenizer, multilingual, task=None, language=None"),
    (get_suppressed_tokens, "tokenizer, suppress_tokens"),
    # audio
    (SpeechTimestampsMap, "chunks, sampling_rate, time_precision=2"),
    (SpeechTimestampsMap.get_original_time, "self, time, chunk_index=None, is_end=False"),
    (SpeechTimestampsMap.get_chunk_index, "self, time, is_end=False"),
    # scheduling.language_detection
    (get_speech_timestamps, "audio, vad_options=None, sampling_rate=16000, kwargs"),
    (collect_chunks, "audio, chunks, sampling_rate=16000, max_duration=inf"),
]


def parameters(function: Callable[..., Any]) -> str:
    """Names and defaults, without types."""
    found = inspect.signature(function).parameters.values()
    return ", ".join(one.name if one.default is one.empty else f"{one.name}={one.default}" for one in found)


@pytest.mark.parametrize(("function", "expected"), CALLED, ids=lambda value: getattr(value, "__qualname__", ""))
def test_functions_take_the_arguments_that_they_are_given(function: Callable[..., Any], expected: str) -> None:
    assert parameters(function) == expected


def names(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)}


def test_dataclasses_have_the_fields_that_are_read_and_set() -> None:
    assert names(Segment) == names(DecodedSegment) - {"language"}
    assert names(Word) == {"start", "end", "word", "probability"}
    assert names(VadOptions) == {  # audio.vad
        *("threshold", "neg_threshold", "min_speech_duration_ms", "max_speech_duration_s", "min_silence_duration_ms"),
        "speech_pad_ms",
    }


def test_a_loaded_model_has_the_attributes_that_are_read(mini: LoadedModel) -> None:
    whisper = mini.whisper
    assert whisper.supported_languages == ["en"]  # decoding.tokenizers
    assert whisper.hf_tokenizer.token_to_id("<|en|>") is not None
    assert whisper.hf_tokenizer.encode(" a", add_special_tokens=False).offsets[0][0] == 0  # model.loading
    assert (whisper.frames_per_second, whisper.time_precision, whisper.max_length) == (100, 0.02, 448)
    assert whisper.feature_extractor(np.zeros(16_000, np.float32)).shape == (80, 101)  # decoding.recogniser
    assert whisper.model.is_multilingual is False  # of CTranslate2
    assert (whisper.model.n_mels, whisper.model.compute_type) == (80, mini.compute_type)
    assert callable(whisper.model.detect_language)
    assert callable(whisper.model.load_model) and callable(whisper.model.unload_model)


def test_a_tokenizer_has_the_members_that_are_read(mini: LoadedModel) -> None:
    tokenizer = Tokenizer(mini.whisper.hf_tokenizer, False, task="transcribe", language="en")
    assert tokenizer.eot < tokenizer.timestamp_begin  # tokens below the first are text, those from the second on times
    assert tokenizer.language_code == "en"
    assert tokenizer.decode([*tokenizer.encode(" garden"), tokenizer.timestamp_begin]) == " garden"


def test_a_batch_is_decoded_with_all_options_set(mini: LoadedModel) -> None:
    tokenizer = Tokenizer(mini.whisper.hf_tokenizer, False, task="transcribe", language="en")
    options = as_transcription_options(DecodingOptions("en"), tokenizer)
    features = np.zeros((1, 80, 3000), np.float32)
    encoded, (output,) = BatchedInferencePipeline(mini.whisper).generate_segment_batched(features, tokenizer, options)
    assert {"tokens", "avg_logprob", "no_speech_prob"} <= output.keys()
    assert encoded.shape[0] == 1


def test_the_voice_activity_detection_comes_with_its_network() -> None:
    """See ``audio.vad``: 512 samples and 64 before them, with a state of two parts."""
    (network,) = Path(get_assets_path()).glob("silero_vad*.onnx")
    session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    assert {one.name for one in session.get_inputs()} == {"input", "h", "c"}
    state = np.zeros((1, 1, 128), np.float32)
    found, _, _ = session.run(None, {"input": np.zeros((3, 576), np.float32), "h": state, "c": state})
    assert found.reshape(-1).shape == (3,)
