"""Takes less memory, and recognises failures for lack of it."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""``M_TRIM_THRESHOLD`` and so on of glibc's ``mallopt``."""
_KEPT_BYTES, _LARGEST_BYTES, _HEAPS = 64 << 20, 32 << 20, 2
_SIGNS = ("out of memory", "alloc_failed", "bad_alloc")
"""In messages of CUDA, of cuBLAS and cuDNN, and of C++."""


def tune_heaps() -> None:
    """Let all threads share two heaps, and keep there what is freed; call it before there are any threads.

    glibc gives each thread a heap of its own: an eighth more memory at the peak. And it returns most of what the model
    frees between two layers to the system, which then clears it for the next ones: a tenth of all CPU time, for
    Whisper's tiny.en with one thread.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_ARENA_MAX, _HEAPS)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether a smaller batch or a smaller model may fit."""
    return isinstance(failure, MemoryError) or any(sign in str(failure).lower() for sign in _SIGNS)
