"""Loads the model: the bundled one, or any that faster-whisper can load, with the fastest type of the device."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel, available_models

from reelscribe.errors import SettingsError
from transcriber.model.memory import is_out_of_memory

BUNDLED = {"mini": Path(__file__).parent / "mini"}

FASTEST_FIRST = {
    "cuda": ("float16", "bfloat16", "int8_float16", "int8", "float32"),
    "cpu": ("int8", "int16", "float32"),
}

MAX_CPU_WORKERS = 4
"""Concurrent calls are faster on a CPU than one call with as many threads, but each needs memory of its own."""

MAX_IDLE_THREADS = 1 / 8
"""Of a CPU whose threads cannot be shared out evenly; more would cost more than another call gains."""


class _EncodingOneByOne(WhisperModel):  # type: ignore[misc]
    """For a CPU: windows are decoded together, but encoded one after the other.

    One window keeps a CPU busy, and what the encoder holds of several windows does not fit its cache: this takes a
    quarter less time (``make bench-transcriber``), and memory for one window instead of a batch.
    """

    def encode(self, features: npt.NDArray[np.float32]) -> ctranslate2.StorageView:
        encode = super().encode
        if features.ndim == 2 or len(features) == 1:
            return encode(features)
        return ctranslate2.StorageView.from_array(np.concatenate([np.asarray(encode(window)) for window in features]))


@dataclass(frozen=True)
class LoadedModel:
    """A model that has encoded a window, and the device it runs on.

    Attributes:
        name: as in the settings; of a folder, only its own name.
        workers: how many calls it can process concurrently: one for each GPU, or one for each part of the CPU.
        load_seconds: time it took to load and to warm up.
        loaded_at: seconds since 1970.
    """

    whisper: WhisperModel
    name: str
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

    def end_of_prompt(self, text: str) -> str:
        """The end of a text, as many tokens as a hint may have."""
        end = text.strip()
        while (excess := len(starts := self._token_starts(end)) - self.max_hint_tokens) > 0:
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
    try:
        whisper = (WhisperModel if device == "cuda" else _EncodingOneByOne)(
            str(BUNDLED.get(name, name)),
            device=device,
            device_index=list(device_index) if device == "cuda" else 0,
            compute_type=chosen_type,
            cpu_threads=threads // workers,
            num_workers=1 if device == "cuda" else workers,
        )
    except Exception as unusable:  # huggingface_hub, tokenizers and CTranslate2 each have their own kinds
        raise SettingsError([_unusable(name, device, chosen_type, unusable)]) from unusable
    try:
        encode_silence(whisper)
    except (RuntimeError, MemoryError) as broken:
        raise SettingsError([_not_running(name, device, chosen_type, broken)]) from broken
    shown = Path(name).name if Path(name).is_dir() else name
    return LoadedModel(
        whisper, shown, device, whisper.model.compute_type, workers, time.monotonic() - started, int(time.time())
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


def _unusable(name: str, device: str, compute_type: str, reason: Exception) -> str:
    key = "[transcriber] model"
    if is_out_of_memory(reason):
        return _too_large(name, device, compute_type)
    cause = " ".join(str(reason).split())[:300]
    if Path(name).is_dir() or name in BUNDLED:
        return f"{key}: the folder {name} does not load on {device} as {compute_type}: {cause}"
    if "/" not in name and name not in available_models():
        tried = f"there is no folder of that name, and faster-whisper knows only {', '.join(available_models())}"
    else:
        tried = f"there is no folder of that name, and loading it through Hugging Face on {device} failed: {cause}"
    return (
        f"{key}: {name!r} cannot be loaded: {tried}. Instead, copy the folder of a CTranslate2 Whisper model here "
        "and set model to its path, or set model = mini (bundled, 216 English words)"
    )


def _not_running(name: str, device: str, compute_type: str, reason: Exception) -> str:
    if is_out_of_memory(reason):
        return _too_large(name, device, compute_type)
    return (
        f"[transcriber] device: the model does not run on {device} as {compute_type}: {reason}; "
        "set device = cpu, or install what is missing (for libcublas: pip install nvidia-cublas-cu12)"
    )


def _too_large(name: str, device: str, compute_type: str) -> str:
    return (
        f"[transcriber] model: {name} does not fit into the memory of {device} as {compute_type}; "
        "set a smaller model or a compute_type that takes less (int8), or free memory there"
    )
