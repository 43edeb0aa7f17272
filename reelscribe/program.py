"""How each program starts and ends: Ctrl-C, a closed pipe and a missing package are no traceback.

It imports nothing but the standard library, so that it is in charge before anything that takes time is imported.
"""

import gc
import io
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

INTERRUPTED_EXIT_CODE = 130
PIPE_CLOSED_EXIT_CODE = 128 + signal.SIGPIPE
"""As of any program that writes into the pipe of a reader that has left, such as ``head``."""
MISSING_EXIT_CODE = 2
OURS = ("reelscribe", "extractor_api", "transcriber", "orchestrator")


def run_program(extra: str, load: Callable[[], Callable[[], object]]) -> NoReturn:
    """Import a program's command line with ``load``, run it, and exit.

    Args:
        extra: of the package, which has what this program needs.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    gc.disable()  # what is imported is no garbage, and looking for some takes a tenth of the time
    try:
        load()()
        code: str | int | None = 0
    except SystemExit as left:
        code = left.code
    except BrokenPipeError:
        code = PIPE_CLOSED_EXIT_CODE
    except KeyboardInterrupt:
        code = INTERRUPTED_EXIT_CODE
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package in OURS:
            raise
        wanted = f"reelscribe[{extra}]"
        print(f"{package} is not installed; install {wanted}: pip install '{wanted}'", file=sys.stderr)
        code = MISSING_EXIT_CODE
    code = _flush(code)
    gc.freeze()  # Python would look for garbage once more before it ends
    sys.exit(code)


def work_begins() -> None:
    """All that takes long is imported: Ctrl-C is an exception from now on, which closes what is open."""
    gc.freeze()
    gc.enable()
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED_EXIT_CODE)


def _flush(code: str | int | None) -> str | int | None:
    """The exit code, once everything is written; what has no reader any more is dropped without a word."""
    if not isinstance(sys.stdout, io.TextIOWrapper) and code == 1:
        code = PIPE_CLOSED_EXIT_CODE  # typer has put something in its place, as it does when the pipe is closed
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except OSError as failed:  # the reader has left, or the terminal is closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            if isinstance(failed, BrokenPipeError) and stream is sys.stdout and code in (0, None):
                code = PIPE_CLOSED_EXIT_CODE
    return code
