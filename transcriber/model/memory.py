"""Recognises failures for lack of memory."""

_SIGNS = ("out of memory", "alloc_failed", "bad_alloc")
"""In messages of CUDA, of cuBLAS and cuDNN, and of C++."""


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether a smaller batch or a smaller model may fit."""
    return isinstance(failure, MemoryError) or any(sign in str(failure).lower() for sign in _SIGNS)
