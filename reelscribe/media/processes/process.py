"""Running ffmpeg: in its sandbox, and ended with its whole process group whatever happens."""

import asyncio
import logging
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, Self

from reelscribe.errors import InternalError
from reelscribe.media.processes.pipe import Pipe
from reelscribe.media.processes.process_group import ProcessGroup
from reelscribe.media.processes.sandbox import Sandbox, child_environment, has_run

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 4096
READ_BYTES = 1 << 16
STATUS_BYTES = 1 << 12
KEPT_LINES = 12
KEPT_CHARACTERS = 300

_REFUSED_PICTURE = b"not on whitelist"
"""ffmpeg's message about a decoder that we do not let it open."""

_SERIOUS = re.compile(rb"^(?:\[[^]]*\] )*\[(?:error|fatal|panic)\] ")


@dataclass
class Messages:
    """What ffmpeg logs (``-loglevel level+warning``), for our log only: it holds paths, and decides nothing.

    Attributes:
        lines: number of all.
        errors: number of lines of level error or worse.
        last: the last lines, shortened.
    """

    lines: int = 0
    errors: int = 0
    last: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    def add(self, line: bytes) -> None:
        """Take in one line."""
        if not line or _REFUSED_PICTURE in line:
            return
        self.lines += 1
        self.errors += _SERIOUS.match(line) is not None
        self.last.append(line[:KEPT_CHARACTERS].decode(errors="replace"))


class StandardInput(Protocol):
    """What a process reads; ``reading`` is the descriptor of its end."""

    reading: int

    def close_reading(self) -> None:
        """Close that here, once the process has it."""


class FFmpegProcess:
    """One run of ffmpeg; use it as ``async with``. Leaving the block ends ffmpeg.

    Args:
        sandbox: to run it in.
        command: the binary and its arguments.
        inherits: descriptors that it needs.
        cpu_seconds: after which the kernel ends it.
        network: it may reach addresses of this host.
        may_write: it may write to files that it inherits.
        most_bytes: of each of these; the kernel ends it when it writes more.
        reports: pipes to which it writes reports in addition to its output.
        feed: its standard input, which is empty without it.
        channels: pipes that it reads besides.

    Attributes:
        messages: all of them once :meth:`wait` has returned.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        command: Sequence[str],
        inherits: Sequence[int] = (),
        *,
        cpu_seconds: float,
        network: bool = False,
        may_write: bool = False,
        most_bytes: int | None = None,
        reports: Sequence[Pipe] = (),
        feed: StandardInput | None = None,
        channels: Sequence[StandardInput] = (),
    ) -> None:
        self.messages = Messages()
        self._sandbox = sandbox
        self._wrapped = partial(
            sandbox.wrap, command, cpu_seconds=cpu_seconds, may_write=may_write, most_bytes=most_bytes, network=network
        )
        self._reported = b""
        self._reports = reports
        self._descriptors = (*inherits, *(report.writing for report in reports), *(one.reading for one in channels))
        self._feed = feed
        self._inputs = [*([feed] if feed else []), *channels]

    async def __aenter__(self) -> Self:
        self._output = Pipe()
        self._status = Pipe(STATUS_BYTES) if self._sandbox.bwrap else None
        status = self._status.writing if self._status else None
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *self._wrapped(status=status),
                stdin=self._feed.reading if self._feed else DEVNULL,
                stdout=self._output.writing,
                stderr=PIPE,
                pass_fds=self._descriptors if status is None else (*self._descriptors, status),
                env=child_environment(),
                start_new_session=True,
            )
        )
        try:
            self._process = await asyncio.shield(starting)
        except BaseException:
            self._output.close()
            self._close_status()
            await asyncio.shield(end_once_started(starting))
            raise
        self._output.close_writing()
        if self._status:
            self._status.close_writing()
        for report in self._reports:
            report.close_writing()
        for given in self._inputs:
            given.close_reading()
        self._draining = asyncio.create_task(self._drain_messages())
        self._group = ProcessGroup(self.pid)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._group.kill()
        self._output.close()
        await self._ended()
        self._close_status()

    @property
    def pid(self) -> int:
        """The process id of the sandbox; its process group is ffmpeg's too."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is known that it has ended."""
        return self._process.returncode is not None

    async def read(self) -> bytes:
        """Some of its standard output; empty at the end."""
        return await self._output.read()

    async def read_all(self) -> bytes:
        """All of its standard output."""
        return await self._output.read_all()

    async def wait(self) -> int:
        """Wait for its end; returns its exit code.

        Raises:
            InternalError: it was never started, since its sandbox could not be made: that says nothing of its input.
        """
        exit_code = await self._ended()
        if exit_code > 0 and not self._has_run():
            log.error("the sandbox could not be made (exit code %d): %s", exit_code, " | ".join(self.messages.last))
            raise InternalError("the sandbox of ffmpeg could not be made; try again, and see the log if it stays so")
        return exit_code

    def _has_run(self) -> bool:
        if self._status:
            self._reported += self._status.read_now()
        return not self._sandbox.bwrap or has_run(self._reported)

    def _close_status(self) -> None:
        if self._status:
            self._status.close()
            self._status = None

    async def _ended(self) -> int:
        await asyncio.shield(self._draining)  # a cancelled wait does not stop the draining
        return await self._process.wait()

    async def _drain_messages(self) -> None:
        """Read standard error to its end: unread, it would stall ffmpeg."""
        stderr, rest = self._process.stderr, b""
        assert stderr
        while chunk := await stderr.read(READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self.messages.add(line)
            rest = rest[:MAX_LINE_BYTES]
        self.messages.add(rest)


async def end_once_started(starting: "asyncio.Task[asyncio.subprocess.Process]") -> None:
    """Kill a process and its group, and read its pipes to their end: so they are closed.

    Cancelled while it starts, asyncio may wait for its pipes indefinitely.
    """
    try:
        process = await starting
    except OSError:
        return
    ProcessGroup(process.pid).kill()
    await process.communicate()
