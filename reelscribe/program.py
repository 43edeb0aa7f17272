"""How each program starts and ends: Ctrl-C, output that cannot be written and a missing package are no traceback.

It imports little but the standard library, so that it is in charge before anything that takes time is imported.
"""

import atexit
import errno
import gc
import io
import os
import resource
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn, TextIO

from reelscribe.stop_signals import INTERRUPTED_EXIT_CODE, ignore_signals, leave_on_signals, raise_on_signals

PIPE_CLOSED_EXIT_CODE = 128 + signal.SIGPIPE
"""As of any program that writes into the pipe of a reader that has left, such as ``head``."""
MISSING_EXIT_CODE = 2
EXTRAS = {"mcp": "mcp"}
"""Packages that one command of a program needs, and the extra that has them."""
OURS = ("reelscribe", "extractor_api", "transcriber", "orchestrator")


def run_program(extra: str, module: str) -> NoReturn:
    """Import the ``cli`` of a module, run it, and exit.

    Args:
        extra: of the package, which has what this program needs.
    """
    leave_on_signals()
    _leave_no_core_file()
    atexit.register(ignore_signals)  # the first that is registered is the last that is called
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    sys.stdout, sys.stderr = _standard_stream(1, sys.stdout), _standard_stream(2, sys.stderr)
    gc.disable()  # what is imported is no garbage, and looking for some takes a tenth of the time
    try:
        import_module(module).cli()
        code: str | int | None = 0
    except SystemExit as left:
        code = left.code
    except BrokenPipeError:
        code = PIPE_CLOSED_EXIT_CODE
    except _NotWritten as lost:
        code = _report(lost)
    except KeyboardInterrupt:
        code = INTERRUPTED_EXIT_CODE
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package in OURS:
            raise
        wanted = f"reelscribe[{EXTRAS.get(package, extra)}]"
        print(f"{package} is not installed; install {wanted}: pip install '{wanted}'", file=sys.stderr)
        code = MISSING_EXIT_CODE
    leave_on_signals()
    code = _flush(code)
    gc.freeze()  # Python would look for garbage once more before it ends
    sys.exit(code)


def work_begins() -> None:
    """All that takes long is imported: Ctrl-C is an exception from now on, which closes what is open."""
    gc.freeze()
    gc.enable()
    raise_on_signals()


class _NotWritten(OSError):
    """A standard stream takes nothing more; its reader has not merely left."""


class _Descriptor(io.FileIO):
    """A standard stream, whose failures are kept apart from those of other files."""

    def write(self, data: Any) -> Any:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as failed:
            raise _NotWritten(failed.errno, failed.strerror) from None


def _leave_no_core_file() -> None:
    """Neither this process nor a child process: the file would hold tokens, keys and what was said."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _standard_stream(descriptor: int, before: TextIO | None) -> TextIO:
    """The stream as it was, over such a descriptor; one that was closed is there, and takes nothing."""
    if before is None:  # else the next file that is opened would get the number, and what is printed
        opened = os.open(os.devnull, os.O_RDONLY if descriptor == 1 else os.O_WRONLY)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
    encoding, errors = (before.encoding, before.errors) if before else ("utf-8", "backslashreplace")
    raw = _Descriptor(descriptor, "w", closefd=False)
    line_buffering = descriptor == 2 or raw.isatty() or (isinstance(before, io.TextIOWrapper) and before.write_through)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=line_buffering)


def _report(lost: _NotWritten) -> int:
    """The exit code, after a sentence; what is left to print is dropped. A terminal that was closed has no reader."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if lost.errno == errno.EIO:
        return INTERRUPTED_EXIT_CODE
    with suppress(OSError):
        print(f"standard output cannot be written: {lost.strerror}", file=sys.stderr)
    return 1


def _flush(code: str | int | None) -> str | int | None:
    """The exit code, once everything is written; what has no reader any more is dropped without a word."""
    if not isinstance(sys.stdout, io.TextIOWrapper) and code == 1:
        code = PIPE_CLOSED_EXIT_CODE  # typer has put something in its place, as it does when the pipe is closed
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except OSError as failed:  # the reader has left, or the terminal is closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            if stream is sys.stdout and isinstance(failed, _NotWritten) and code in (0, 1, None):
                code = _report(failed)
            elif stream is sys.stdout and code in (0, None):
                code = PIPE_CLOSED_EXIT_CODE
    return code
