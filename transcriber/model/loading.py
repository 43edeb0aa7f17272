"""Loads the model, with the fastest type of the device."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from reelscribe.errors import SettingsError
from reelscribe.text.punctuation import CLAUSE_ENDS, SENTENCE_ENDS
from transcriber.model.finding import find_model
from transcriber.model.memory import is_out_of_memory

FASTEST_FIRST = {
    "cuda": ("float16", "bfloat16", "int8_float16", "int8", "float32"),
    "cpu": ("int8", "int16", "float32"),
}

MAX_CPU_WORKERS = 4
"""Concurrent calls are faster on a CPU than one call with as many threads, but each needs memory of its own."""

MAX_IDLE_THREADS = 1 / 8
"""Of a CPU whose threads cannot be shared out evenly; more would cost more than another call gains."""


LEAST_SEGMENT_TOKENS = 12
"""Of a prompt's segments, which end with a sentence or a clause: their timestamps, too, take room from the answer."""

TICKS_PER_TOKEN, MOST_TICKS = 12, 1400
"""How long a token of a prompt is said to take, and all of them together: in steps of 0.02 s."""


class _FittingPrompts(WhisperModel):  # type: ignore[misc]
    """Prompts of hints and of the text before a window, which leave room for the answer and keep its timestamps.

    Both share half of the tokens. faster-whisper gives each of them half, and a window whose prompt takes all of it has
    no room for its own words. They are written as Whisper writes segments, each between two timestamps: after text
    without timestamps Whisper writes none either, so that a window is one segment of 30 s, and words are lost.
    """

    def get_prompt(
        self,
        tokenizer: Tokenizer,
        previous_tokens: list[int],
        without_timestamps: bool = False,
        prefix: str | None = None,
        hotwords: str | None = None,
    ) -> list[int]:
        hints = tokenizer.encode(f" {hotwords.strip()}") if hotwords else []
        room = max(0, self.max_length // 2 - 1 - len(hints))
        kept = previous_tokens[-room:] if room else []
        before = [*_as_segments(hints, tokenizer), *_as_segments(kept, tokenizer)]
        prompt: list[int] = super().get_prompt(tokenizer, [], without_timestamps, prefix)
        return [tokenizer.sot_prev, *before, *prompt] if before else prompt

    def most_tokens(self, prompt: Sequence[int]) -> int:
        """How many tokens CTranslate2 writes after a prompt before it stops, wherever the text is."""
        return int(min(self.max_length // 2, self.max_length - len(prompt) + 1))

    def encoded_window(
        self, batch: ctranslate2.StorageView, number: int, features: npt.NDArray[np.float32]
    ) -> ctranslate2.StorageView:
        """The output of the encoder for one window of a batch."""
        return self.encode(features)


def _as_segments(tokens: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """The tokens as if they had been said: sentences and clauses, each between its timestamps."""
    ticks = min(TICKS_PER_TOKEN, MOST_TICKS // max(1, len(tokens)))
    found, start = [], 0
    for end in range(1, len(tokens) + 1):
        ending = tokenizer.decode([tokens[end - 1]]).rstrip()
        ends = end - start >= LEAST_SEGMENT_TOKENS and ending.endswith(SENTENCE_ENDS + CLAUSE_ENDS)
        if ends or end == len(tokens):
            first, last = (tokenizer.timestamp_begin + ticks * position for position in (start, end))
            found += [first, *tokens[start:end], last]
            start = end
    return found


class _EncodingOneByOne(_FittingPrompts):
    """For a CPU: windows are decoded together, but encoded one after the other.

    One window keeps a CPU busy, and what the encoder holds of several windows does not fit its cache: this takes a
    quarter less time (``make bench-transcriber``), and memory for one window instead of a batch.
    """

    def encode(self, features: npt.NDArray[np.float32]) -> ctranslate2.StorageView:
        encode = super().encode
        if features.ndim == 2 or len(features) == 1:
            return encode(features)
        return ctranslate2.StorageView.from_array(np.concatenate([np.asarray(encode(window)) for window in features]))

    def encoded_window(
        self, batch: ctranslate2.StorageView, number: int, features: npt.NDArray[np.float32]
    ) -> ctranslate2.StorageView:
        return ctranslate2.StorageView.from_array(np.asarray(batch)[number : number + 1])


@dataclass(frozen=True)
class LoadedModel:
    """A model that has encoded a window, and the device it runs on.

    Attributes:
        name: as in the settings; of a folder, only its own name.
        source: where its files come from, in words that follow "from".
        workers: how many calls it can process concurrently: one for each GPU, or one for each part of the CPU.
        load_seconds: time it took to load and to warm up.
        loaded_at: seconds since 1970.
    """

    whisper: WhisperModel
    name: str
    source: str
    device: str
    compute_type: str
    workers: int
    load_seconds: float
    loaded_at: int

    def self_test(self) -> None:
        """Encode one window of silence.

        Raises:
            RuntimeError: it does not work; CTranslate2 raises it, in its own words or in those of the driver below it.
        """
        encode_silence(self.whisper)

    @property
    def max_hint_tokens(self) -> int:
        """Tokens of hints that a window has room for, besides those of its text."""
        return int(self.whisper.max_length) // 2 - 1

    def hint_tokens(self, text: str | None) -> int:
        """How many tokens of hints a text is."""
        return len(self._token_starts(text.strip())) if text else 0

    def end_of_prompt(self, text: str, most_tokens: int) -> str:
        """The end of a text, of at most so many tokens."""
        end = text.strip() if most_tokens else ""
        while end and (excess := len(starts := self._token_starts(end)) - most_tokens) > 0:
            # What is left may be cut into more tokens than it was; a letter may be several.
            end = end[max(1, starts[excess] - 1) :].strip()
        return end

    def _token_starts(self, text: str) -> list[int]:
        """The position of each token in the text with a space before it, which is how the model gets it."""
        return [start for start, _ in self.whisper.hf_tokenizer.encode(f" {text}", add_special_tokens=False).offsets]

    def share_of_batch(self, batch_size: int) -> int:
        """How many of ``batch_size`` windows are for one call: all, on a GPU; the parts of a CPU share its memory."""
        return batch_size if self.device == "cuda" else ceil(batch_size / self.workers)


def load_model(
    name: str, device: str, compute_type: str, device_index: Sequence[int] = (0,), cpu_threads: int = 0
) -> LoadedModel:
    """Load a model and let it encode one window of silence, which finds a GPU without its libraries.

    Args:
        name: ``mini``, a faster-whisper name, a Hugging Face id, or the folder of a CTranslate2 model.
        device: ``auto``, ``cpu`` or ``cuda``.
        compute_type: ``auto`` (the fastest the device supports), or one of CTranslate2's.
        device_index: the GPUs to use.
        cpu_threads: to compute with on a CPU; 0: one for each core this process may use.

    Raises:
        SettingsError: it cannot be loaded here; the message says what to do.
    """
    started = time.monotonic()
    device = _device(device, device_index)
    chosen_type = _compute_type(device, compute_type)
    threads = cpu_threads or len(os.sched_getaffinity(0))
    workers = len(device_index) if device == "cuda" else cpu_workers(threads)
    found = find_model(name)
    try:
        whisper = (_FittingPrompts if device == "cuda" else _EncodingOneByOne)(
            str(found.folder),
            device=device,
            device_index=list(device_index) if device == "cuda" else 0,
            compute_type=chosen_type,
            cpu_threads=threads // workers,
            num_workers=1 if device == "cuda" else workers,
        )
    except Exception as unusable:  # huggingface_hub, tokenizers and CTranslate2 each have their own kinds
        raise SettingsError([_unusable(name, found.folder, device, chosen_type, unusable)]) from unusable
    try:
        encode_silence(whisper)
    except (RuntimeError, MemoryError) as broken:
        raise SettingsError([_not_running(name, device, chosen_type, broken)]) from broken
    shown = Path(name).name if Path(name).is_dir() else name
    return LoadedModel(
        whisper,
        shown,
        found.source,
        device,
        whisper.model.compute_type,
        workers,
        time.monotonic() - started,
        int(time.time()),
    )


def cpu_workers(threads: int) -> int:
    """How many calls share the threads of a CPU: as many as leave at most :data:`MAX_IDLE_THREADS` of them idle."""
    numbers = range(1, min(MAX_CPU_WORKERS, threads) + 1)
    return max(number for number in numbers if threads % number <= threads * MAX_IDLE_THREADS)


def encode_silence(whisper: WhisperModel) -> None:
    """Encode one window of silence."""
    whisper.encode(np.zeros((whisper.model.n_mels, 3000), np.float32))


def _device(device: str, device_index: Sequence[int]) -> str:
    gpus = ctranslate2.get_cuda_device_count()
    if device == "cuda" and not gpus:
        raise SettingsError(
            ["[transcriber] device: cuda is set, but no CUDA GPU is visible here; check nvidia-smi, or set auto or cpu"]
        )
    if device == "cpu" or not gpus:
        return "cpu"
    absent = [index for index in device_index if index >= gpus]
    if absent:
        raise SettingsError(
            [f"[transcriber] device_index: there is no GPU {absent[0]} here, only {', '.join(map(str, range(gpus)))}"]
        )
    return "cuda"


def _compute_type(device: str, compute_type: str) -> str:
    supported = ctranslate2.get_supported_compute_types(device)
    if compute_type == "auto":
        return next(kind for kind in FASTEST_FIRST[device] if kind in supported)
    if compute_type not in supported:
        raise SettingsError(
            [f"[transcriber] compute_type: {device} has no {compute_type} here, only {', '.join(sorted(supported))}"]
        )
    return compute_type


def _unusable(name: str, folder: Path, device: str, compute_type: str, reason: Exception) -> str:
    if is_out_of_memory(reason):
        return _too_large(name, device, compute_type)
    cause = " ".join(str(reason).split())[:300]
    return f"[transcriber] model: the folder {folder} does not load on {device} as {compute_type}: {cause}"


def _not_running(name: str, device: str, compute_type: str, reason: Exception) -> str:
    if is_out_of_memory(reason):
        return _too_large(name, device, compute_type)
    if device == "cpu" and "could not create a primitive" in str(reason):  # oneDNN's only word for it
        return (
            f"[transcriber] device: the model does not run on cpu as {compute_type}: {reason}; it writes code at run "
            "time, which MemoryDenyWriteExecute=yes of a systemd unit forbids: take that line out of the unit"
        )
    return (
        f"[transcriber] device: the model does not run on {device} as {compute_type}: {reason}; "
        "set device = cpu, or install what is missing (for libcublas: pip install nvidia-cublas-cu12)"
    )


def _too_large(name: str, device: str, compute_type: str) -> str:
    return (
        f"[transcriber] model: {name} does not fit into the memory of {device} as {compute_type}; "
        "set a smaller model or a compute_type that takes less (int8), or free memory there"
    )
