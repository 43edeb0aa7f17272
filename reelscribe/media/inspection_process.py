"""The processes that describe recordings, and the one of them that waits ready for the next recording.

To load PyAV takes longer than to describe a recording, and longer than the first byte of an extraction may wait.
"""

import asyncio
import importlib.util
import json
import socket
import sys
import sysconfig
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reelscribe.errors import InternalError
from reelscribe.media.inspection_child import MOST_FILES
from reelscribe.media.processes.process import end_once_started
from reelscribe.media.processes.process_group import ProcessGroup
from reelscribe.media.processes.sandbox import Sandbox, child_environment
from reelscribe.media.processes.waiting_process import OneWaiting

CHILD = Path(__file__).with_name("inspection_child.py")
REST_SECONDS = 0.3
"""Before the next process is started: it would compete with the extraction that waits for this description."""

MAX_ANSWER_BYTES = 1 << 20
MAX_COMPLAINT_BYTES = 1 << 12


class InspectionProcess:
    """A process that loads PyAV, waits for one task, answers it and ends.

    Args:
        sandbox: to run it in.
        cpu_seconds: after which the kernel ends it.
        network: it may reach addresses of this host.

    Raises:
        InternalError: PyAV is not installed.
    """

    def __init__(self, sandbox: Sandbox, cpu_seconds: float, *, network: bool = False) -> None:
        python = child_python()
        command = [*python.command, str(CHILD), python.packages]
        self.sandbox = sandbox
        self._socket, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *sandbox.seeing(python.visible).wrap(command, cpu_seconds=cpu_seconds, network=network),
                stdin=self._theirs.fileno(),
                stdout=PIPE,
                stderr=PIPE,
                env=child_environment(),
                start_new_session=True,
            )
        )

    @property
    def has_ended(self) -> bool:
        """Whether it cannot take a task, because it could not start or was killed."""
        if not self._starting.done():
            return False
        return bool(self._starting.exception()) or self._starting.result().returncode is not None

    async def answer(self, task: dict[str, Any], descriptors: Sequence[int] = ()) -> tuple[int, bytes, str]:
        """Have it carry out its task: its exit code, its standard output and the end of its standard error.

        Args:
            task: see :mod:`reelscribe.media.inspection_child`.
            descriptors: that it needs, under the same numbers.

        Raises:
            InternalError: it writes too much.
        """
        process: Process = await asyncio.shield(self._starting)
        group = ProcessGroup(process.pid)
        self._theirs.close()
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it has ended: its exit code says how
                self._socket.send(json.dumps({**task, "descriptors": list(descriptors)}).encode())
                for first in range(0, len(descriptors), MOST_FILES):
                    socket.send_fds(self._socket, [b"\0"], list(descriptors[first : first + MOST_FILES]))
            assert process.stdout and process.stderr
            answer, complaint = await asyncio.gather(
                _read_all(process.stdout, MAX_ANSWER_BYTES), _read_end(process.stderr, MAX_COMPLAINT_BYTES)
            )
            return await process.wait(), answer, complaint.decode(errors="replace")
        finally:
            group.kill()

    async def end(self) -> None:
        """End it, whatever it does."""
        try:
            await asyncio.shield(end_once_started(self._starting))
        finally:
            self._socket.close()
            self._theirs.close()


_ready = OneWaiting(InspectionProcess, REST_SECONDS)

keep_ready = _ready.kept
"""While this is entered, with a sandbox and its ``cpu_seconds``, a process waits ready for :func:`answer`."""


async def answer(
    sandbox: Sandbox, task: dict[str, Any], cpu_seconds: float, descriptors: Sequence[int] = (), network: bool = False
) -> tuple[int, bytes, str]:
    """Have a process carry out a task: the one that waits ready, or a new one.

    Raises:
        InternalError: PyAV is not installed, or the process writes too much.
        OSError: it could not be started.
    """
    process = None if network else await _ready.take(sandbox)
    process = process or InspectionProcess(sandbox, cpu_seconds, network=network)
    try:
        return await process.answer(task, descriptors)
    finally:
        await process.end()


async def _read_all(stream: asyncio.StreamReader, most: int) -> bytes:
    content = b""
    while chunk := await stream.read(most):
        content += chunk
        if len(content) > most:
            raise InternalError(f"the description of a recording is longer than {most} bytes")
    return content


async def _read_end(stream: asyncio.StreamReader, most: int) -> bytes:
    content = b""
    while chunk := await stream.read(most):
        content = (content + chunk)[-most:]
    return content


@dataclass(frozen=True)
class ChildPython:
    """The Python that the child runs in.

    Attributes:
        command: the interpreter, without site-packages and without our environment.
        packages: the folder that PyAV is installed in.
        visible: what it must be able to read: the interpreter, PyAV, and the libraries of both.
    """

    command: tuple[str, ...]
    packages: str
    visible: tuple[Path, ...]


@cache
def child_python() -> ChildPython:
    """The Python that runs us, cut down to what the child needs.

    Raises:
        InternalError: PyAV is not installed.
    """
    found = importlib.util.find_spec("av")
    if not found or not found.origin:
        raise InternalError("PyAV is not installed; install reelscribe[extractor]")
    package, started_as = Path(found.origin).resolve().parent, Path(sys.executable)
    interpreter = started_as.resolve()
    library = str(sysconfig.get_config_var("INSTSONAME"))
    visible = (
        interpreter,
        started_as.parent.parent / "pyvenv.cfg",  # if the virtual environment has a copy of the interpreter
        Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib") / library,
        *_loaded(library),
        Path(sysconfig.get_path("stdlib")),
        Path(sysconfig.get_path("platstdlib", vars={"platbase": sys.base_exec_prefix})),  # not that of our environment
        package,
        package.with_name("av.libs"),
        CHILD,
    )
    return ChildPython((str(interpreter), "-I", "-S", "-B"), str(package.parent), tuple(dict.fromkeys(visible)))


def _loaded(library: str) -> Sequence[Path]:
    """Where it is, if we have loaded it. A Python that was moved names the folder in which it was built."""
    mapped = Path("/proc/self/maps").read_text().splitlines()
    return [Path(line[line.index("/") :]) for line in mapped if line.endswith(f"/{library}")]
