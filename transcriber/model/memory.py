"""How want of memory is told from other failures."""

_SIGNS = ("out of memory", "alloc_failed", "bad_alloc")
"""In the words of CUDA, of cuBLAS and cuDNN, and of C++."""


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether less at once, or a smaller model, may fit."""
    return isinstance(failure, MemoryError) or any(sign in str(failure).lower() for sign in _SIGNS)
