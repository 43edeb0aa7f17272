"""The processes that decode pictures, and the one of them that waits ready for the next request.

To start the sandbox and to load PyAV takes longer than to decode a first picture.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from reelscribe.media.inspection_child import MOST_FILES
from reelscribe.media.inspection_process import child_python
from reelscribe.media.processes.process import FFmpegProcess
from reelscribe.media.processes.sandbox import Sandbox
from reelscribe.media.processes.waiting_process import OneWaiting

CHILD = Path(__file__).with_name("child.py")
MEDIA = CHILD.parents[1]
ROOT = MEDIA.parents[1]
VISIBLE = (
    MEDIA.with_name("__init__.py"),
    *(MEDIA / name for name in ("__init__.py", "picture_order.py")),  # and inspection_child.py, which all Pythons see
    *(MEDIA / "pictures" / f"{name}.py" for name in ("__init__", "child", "damage", "delivery", "encoding", "packets")),
    *(MEDIA / "pictures" / f"{name}.py" for name in ("fields", "fresh_start", "rotation", "source", "timing")),
    *(MEDIA / "clips" / f"{name}.py" for name in ("__init__", "copying", "cutting", "recording")),
)
REST_SECONDS = 1.0
"""Before the next process is started: it would compete with the first picture of this one."""


class TaskSocket:
    """A process's standard input, through which its task and open files come."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.reading = self._theirs.fileno()

    def close_reading(self) -> None:
        """Leave their end to the process alone, so that we learn when it has ended."""
        self._theirs.close()

    def give(self, task: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Send a task, as a file because of its length, and the files that it needs under the same numbers."""
        file = os.memfd_create("task")
        try:
            with open(file, "w", closefd=False) as written:
                json.dump(task, written)
            files = [*descriptors, file]
            with suppress(BrokenPipeError, ConnectionResetError):  # it has ended: its exit code says how
                self._ours.send(json.dumps({"descriptors": files, "task": file}).encode())
                for first in range(0, len(files), MOST_FILES):
                    socket.send_fds(self._ours, [b"\0"], files[first : first + MOST_FILES])
        finally:
            os.close(file)

    def close(self) -> None:
        """Give up the connection; the process ends if it still waits."""
        self._ours.close()
        self._theirs.close()


class PictureChild:
    """A process that loads PyAV, waits for one task, carries it out and ends.

    Args:
        sandbox: to run it in.
        cpu_seconds: after which the kernel ends it.
        network: it may reach addresses of this host.

    Raises:
        InternalError: PyAV is not installed.
    """

    def __init__(self, sandbox: Sandbox, cpu_seconds: float, *, network: bool = False) -> None:
        python = child_python()
        self.sandbox = sandbox
        self.input = TaskSocket()
        self.process = FFmpegProcess(
            sandbox.seeing((*python.visible, *VISIBLE)),
            [*python.command, str(CHILD), python.packages, str(ROOT)],
            cpu_seconds=cpu_seconds,
            network=network,
            feed=self.input,
        )
        self._starting = asyncio.create_task(self.process.__aenter__())

    @property
    def has_ended(self) -> bool:
        """Whether it cannot take a task, because it could not start or was killed."""
        return self._starting.done() and (bool(self._starting.exception()) or self.process.has_ended)

    async def start(self, task: dict[str, Any], descriptors: Sequence[int]) -> FFmpegProcess:
        """Give it its task."""
        await asyncio.shield(self._starting)
        self.input.give(task, descriptors)
        return self.process

    async def end(self) -> None:
        """End it, whatever it does."""
        try:
            with suppress(OSError):
                await asyncio.shield(self._starting)
                await self.process.__aexit__()
        finally:
            self.input.close()


_ready = OneWaiting(PictureChild, REST_SECONDS)

keep_ready = _ready.kept
"""While this is entered, with a sandbox and its ``cpu_seconds``, a process waits ready for :func:`picture_child`."""


@asynccontextmanager
async def picture_child(sandbox: Sandbox, cpu_seconds: float, *, network: bool) -> AsyncIterator[PictureChild]:
    """The process that waits ready, or a new one; leaving the block ends it.

    Raises:
        InternalError: PyAV is not installed.
    """
    child = None if network else await _ready.take(sandbox)
    child = child or PictureChild(sandbox, cpu_seconds, network=network)
    try:
        yield child
    finally:
        await child.end()
