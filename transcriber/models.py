"""Which model runs where: the bundled one, or whatever faster-whisper can load, on the fastest this device has."""

import time
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel, available_models

from machine.settings import SettingsError

BUNDLED = {"mini": Path(__file__).parent / "models" / "mini"}

FASTEST_FIRST = {
    "cuda": ("float16", "bfloat16", "int8_float16", "int8", "float32"),
    "cpu": ("int8", "int16", "float32"),
}


@dataclass(frozen=True)
class LoadedModel:
    """A model that has answered once, with where it runs.

    Attributes:
        name: as in the settings; of a folder, only its own name.
        load_seconds: time it took to load and to warm up.
        loaded_at: seconds since 1970.
    """

    whisper: WhisperModel
    name: str
    device: str
    compute_type: str
    load_seconds: float
    loaded_at: int


def load(name: str, device: str, compute_type: str) -> LoadedModel:
    """Load a model and let it hear one window of silence, which finds a GPU without its libraries.

    Args:
        name: ``mini``, a faster-whisper name, a Hugging Face id, or the folder of a CTranslate2 model.
        device: ``auto``, ``cpu`` or ``cuda``.
        compute_type: ``auto`` (the fastest the device supports), or one of CTranslate2's.

    Raises:
        SettingsError: it cannot be loaded here; the sentence names the way out.
    """
    started = time.monotonic()
    device = _device(device)
    chosen_type = _compute_type(device, compute_type)
    try:
        whisper = WhisperModel(str(BUNDLED.get(name, name)), device=device, compute_type=chosen_type)
    except Exception as unusable:  # huggingface_hub, tokenizers and CTranslate2 each have their own kinds
        raise SettingsError([_unusable(name, device, chosen_type, unusable)]) from unusable
    try:
        whisper.encode(np.zeros((whisper.model.n_mels, 3000), np.float32))
    except RuntimeError as broken:
        raise SettingsError(
            [
                f"[transcriber] device: the model does not run on {device} as {chosen_type}: {broken}; "
                "set device = cpu, or install what is missing (for libcublas: pip install nvidia-cublas-cu12)"
            ]
        ) from broken
    shown = Path(name).name if Path(name).is_dir() else name
    return LoadedModel(whisper, shown, device, whisper.model.compute_type, time.monotonic() - started, int(time.time()))


def _device(device: str) -> str:
    gpus = ctranslate2.get_cuda_device_count()
    if device == "cuda" and not gpus:
        raise SettingsError(
            ["[transcriber] device: cuda is set, but no CUDA GPU is visible here; check nvidia-smi, or set auto or cpu"]
        )
    return ("cuda" if gpus else "cpu") if device == "auto" else device


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
    where = "[transcriber] model"
    cause = " ".join(str(reason).split())[:300]
    if Path(name).is_dir() or name in BUNDLED:
        return f"{where}: the folder {name} does not load on {device} as {compute_type}: {cause}"
    if "/" not in name and name not in available_models():
        tried = f"there is no folder of that name, and faster-whisper knows only {', '.join(available_models())}"
    else:
        tried = f"there is no folder of that name, and loading it through Hugging Face on {device} failed: {cause}"
    return (
        f"{where}: {name!r} cannot be loaded: {tried}. Way out: copy the folder of a CTranslate2 Whisper model here "
        "and set model to its path, or set model = mini (bundled, 216 English words)"
    )
