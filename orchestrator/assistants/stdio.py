"""Assistants that start this command themselves: one message per line on standard input and output.

All else that is printed goes to standard error, also what children print, such as PostgreSQL. The protocol's own
library reads in a thread that cannot be stopped; here a signal ends the command while it waits for a line.
"""

import fcntl
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from mcp.server.stdio import stdio_server

from orchestrator.assistants.server import make_server
from orchestrator.session import Session, print_error
from reelscribe.blocking_calls import call_blocking
from reelscribe.program import PIPE_CLOSED_EXIT_CODE

LONGEST_LINE = 1 << 20
"""Bytes; a message is a few hundred."""


class Lines:
    """The lines of a stream, as the library reads them: without those that are too long.

    Args:
        stream: is read in a thread that nothing has to wait for.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> str:
        while line := await call_blocking(self._read):
            if len(line) <= LONGEST_LINE:
                return _readable(line.decode(errors="replace"))
            print_error(f"a message of more than {LONGEST_LINE} bytes is left out")
        raise StopAsyncIteration

    def _read(self) -> bytes:
        line = self._stream.readline(LONGEST_LINE + 1)
        part = line
        while len(part) > LONGEST_LINE and not part.endswith(b"\n"):
            part = self._stream.readline(LONGEST_LINE + 1)
        return line


def _readable(line: str) -> str:
    """The line with U+FFFD for each half of a character, such as a cut emoji: the library would not answer."""
    if "\\ud" in line.lower():
        with suppress(ValueError, RecursionError):
            units = json.dumps(json.loads(line), ensure_ascii=False).encode("utf-16", "surrogatepass")
            return units.decode("utf-16", errors="replace")
    return line


class Output:
    """Where the library writes.

    Args:
        stream: is written in a thread that nothing has to wait for.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    async def write(self, text: str) -> None:
        """Write a message."""
        await call_blocking(lambda: self._write(text.encode()))

    async def flush(self) -> None:
        """Nothing is kept back."""

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()


@contextmanager
def standard_streams() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Standard input and output, which nothing else reads and writes during the block, children included."""
    sys.stdout.flush()
    kept = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3) for descriptor in (0, 1)]
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    try:
        yield os.fdopen(kept[0], "rb", closefd=False), os.fdopen(kept[1], "wb", closefd=False)
    finally:
        sys.stdout.flush()
        for descriptor, before in enumerate(kept):
            os.dup2(before, descriptor)


def serving(given: BinaryIO, taken: BinaryIO) -> Callable[[Session], Coroutine[Any, Any, int]]:
    """The work of a session: answer what comes in, until that ends. It returns the exit code."""

    async def serve(session: Session) -> int:
        server = make_server(session)
        lines: Any = Lines(given)  # the library asks for files of its own, and uses no more of them
        output: Any = Output(taken)
        code = 0
        try:
            async with stdio_server(lines, output) as (read, written):
                await server.run(read, written, server.create_initialization_options())
        except* BrokenPipeError:
            code = PIPE_CLOSED_EXIT_CODE
        except* OSError as failed:
            print_error(f"standard input or output failed: {failed.exceptions[0]}")
            code = 1
        return code

    return serve
