"""Running ffmpeg: in its sandbox, on an open object, and ended with its whole process group whatever happens."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from reelscribe.media.ffmpeg_log import FFmpegLog
from reelscribe.media.pipe import Pipe
from reelscribe.media.sandbox import Sandbox
from reelscribe.media.stored_object import StoredObject

MAX_LINE_BYTES = 4096
READ_BYTES = 1 << 16


class FFmpegProcess:
    """One run of ffmpeg; use it as ``async with``. Leaving the block ends ffmpeg.

    Args:
        sandbox: to run it in.
        command: the binary and its arguments.
        stored: the object that it reads.
        cpu_seconds: after which the kernel ends it.
        output: descriptor of a file that it may write to, besides its standard output.

    Attributes:
        log: the facts that it has reported so far; all of them once :meth:`wait` has returned.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        command: Sequence[str],
        stored: StoredObject,
        *,
        cpu_seconds: float,
        output: int | None = None,
    ) -> None:
        self.log = FFmpegLog()
        self._described = asyncio.Event()
        self._command = sandbox.wrap(
            command, cpu_seconds=cpu_seconds, may_write=output is not None, network=stored.needs_network
        )
        self._descriptors = stored.descriptors if output is None else (*stored.descriptors, output)

    async def __aenter__(self) -> Self:
        self._output = Pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=DEVNULL,
                stdout=self._output.writing,
                stderr=PIPE,
                pass_fds=self._descriptors,
                env=_environment(),
                start_new_session=True,
            )
        except BaseException:
            self._output.close()
            raise
        self._output.close_writing()
        self._draining = asyncio.create_task(self._drain_log())
        return self

    async def __aexit__(self, *error: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # the sandbox is a process too
        self._output.close()
        await self.wait()

    @property
    def pid(self) -> int:
        """The process id of the sandbox; its process group is ffmpeg's too."""
        return self._process.pid

    async def read(self) -> bytes:
        """Some of its standard output; empty at the end."""
        return await self._output.read()

    async def described(self) -> None:
        """Wait until :attr:`log` has the description of the input, which ffmpeg logs before it writes audio."""
        await self._described.wait()

    async def wait(self) -> int:
        """Wait for its end; returns its exit code."""
        await asyncio.shield(self._draining)  # a cancelled wait does not stop the draining
        return await self._process.wait()

    async def _drain_log(self) -> None:
        """Read standard error to its end: unread, it would stall ffmpeg."""
        stderr, rest = self._process.stderr, b""
        assert stderr
        while chunk := await stderr.read(READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._log_line(line)
            rest = rest[:MAX_LINE_BYTES]
            if self.log.output_begun:
                self._described.set()
        self._log_line(rest)
        self._described.set()

    def _log_line(self, line: bytes) -> None:
        self.log.read(line[:MAX_LINE_BYTES].decode(errors="replace"))


def _environment() -> dict[str, str]:
    """What finds ffmpeg's libraries, but no secret of ours to read and no proxy to send URLs to."""
    return {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
