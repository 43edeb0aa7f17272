"""Takes less memory, and recognises failures for lack of it."""

import ctypes

_ARENA_MAX = -8
"""``M_ARENA_MAX`` of glibc's ``mallopt``."""
_ARENAS = 2
_SIGNS = ("out of memory", "alloc_failed", "bad_alloc")
"""In messages of CUDA, of cuBLAS and cuDNN, and of C++."""


def share_heaps() -> None:
    """Let all threads share two heaps; call it before there are any.

    glibc gives each thread a heap of its own and keeps there what is freed: an eighth more memory at the peak.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_ARENA_MAX, _ARENAS)


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether a smaller batch or a smaller model may fit."""
    return isinstance(failure, MemoryError) or any(sign in str(failure).lower() for sign in _SIGNS)
