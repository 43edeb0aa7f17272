"""Nothing outlives a test run, not even after ``kill -9`` of pytest or of one of its workers.

Fixtures end what they start, but not those of a process that is killed. So each process of the run has a guard: a small
process in a session of its own that waits for its end, then ends all that it has started (PostgreSQL and the services
have left its process group by then, and are no children of it any more) and removes its temporary folders. It knows
them by the name of the folder in their environment, which processes inherit.

Run as a program, this module is the guard: ``guard.py PID FOLDER``.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = "FOLDER_OF_TESTS"
"""Names the variable of the environment: the folder of the process that has started this one."""

SHARED_MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 << 30
"""Free in memory, so that all tests of a run find room there; the default of a container is 64 MB."""

STOP_SECONDS = 3.0
"""How long PostgreSQL has to give back its shared memory, which kill -9 would leave."""


def pytest_configure() -> None:
    """Start the guard of this process: of pytest, and of each worker of pytest-xdist."""
    others = {name: value for name, value in os.environ.items() if name != FOLDER}  # the guard is ended by no other
    has_room = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ENOUGH_BYTES
    folder = tempfile.mkdtemp(prefix="reelscribe-tests-", dir=SHARED_MEMORY if has_room else None)
    os.chmod(folder, 0o755)  # where we are root, PostgreSQL is another user
    command = [sys.executable, "-I", "-S", __file__, str(os.getpid()), folder]
    subprocess.run(
        command, env=others, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )
    os.environ[FOLDER] = folder


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder that is removed after the block: in memory if the host has room for it, else on its disk.

    Outside a test run, for benches and pictures of the page, it is on the disk. A new database took 0.3 s of CPU time
    and 2 s of a busy disk, and takes 0.01 s in memory. Any user may pass it.
    """
    with tempfile.TemporaryDirectory(prefix=prefix, dir=os.environ.get(FOLDER)) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def guard(pid: int, folder: Path) -> None:
    """Wait in the background for the end of a process; then end what it has started, and remove its folder."""
    ended = os.pidfd_open(pid)
    if os.fork():
        return
    os.setsid()
    select.select([ended], [], [])
    for process, name in _started_in(folder).items():
        _send(process, signal.SIGQUIT if name == "postgres" else signal.SIGKILL)
    deadline = time.monotonic() + STOP_SECONDS
    while left := _started_in(folder):
        time.sleep(0.05)
        if time.monotonic() > deadline:
            for process in left:
                _send(process, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _started_in(folder: Path) -> dict[int, str]:
    """Processes with this folder in their environment, and the children of these; their names."""
    mark = f"{FOLDER}={folder}".encode()
    marked: list[int] = []
    names: dict[int, str] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is none of ours
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            if state == "Z":
                continue
            names[int(entry.name)] = name
            children.setdefault(int(parent), []).append(int(entry.name))
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                marked.append(int(entry.name))
    found: dict[int, str] = {}
    while marked:
        process = marked.pop()
        if process not in found:
            found[process] = names[process]
            marked += children.get(process, [])
    return found


def _send(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)


if __name__ == "__main__":
    guard(int(sys.argv[1]), Path(sys.argv[2]))
