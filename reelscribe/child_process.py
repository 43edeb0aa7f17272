"""A child process that cannot outlive its parent, even if that is killed with ``kill -9``."""

import ctypes
import os
import signal
from collections.abc import Callable

PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> Callable[[], None]:
    """A ``preexec_fn``: the kernel sends the child SIGTERM once this process ends."""
    parent = os.getpid()

    def in_child() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return in_child
