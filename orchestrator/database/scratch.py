"""A PostgreSQL for a few minutes, in a temporary folder: nothing of it is left, however this process ends."""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg

from orchestrator.database.embedded import GAVE_UP, START_SECONDS
from orchestrator.database.packaged import new_scratch_server, url_of
from orchestrator.errors import DatabaseUnavailable
from reelscribe.child_process import end_with_parent

PREFIX, LOCK = "reelscribe-scratch-", "lock"
STOP_SECONDS = 60.0
SHORT_FOLDER = Path("/tmp")
SOCKET, LONGEST_SOCKET = ".s.PGSQL.5432", 107
"""The name of PostgreSQL's socket, and the bytes that the kernel allows for its path."""
SETTINGS = ("listen_addresses=", "fsync=off", "full_page_writes=off", "autovacuum=off")


@contextmanager
def running() -> Iterator[str]:
    """The URL of the database ``postgres`` of an empty server; it listens to nothing but a socket in its folder.

    Raises:
        DatabaseUnavailable: it does not start.
    """
    _sweep()
    with ExitStack() as stack:
        folder = _new_folder(stack, Path(tempfile.gettempdir()))
        data = sockets = folder / "data"
        try:
            server = new_scratch_server(data)
            if len(os.fsencode(sockets / SOCKET)) > LONGEST_SOCKET or "," in str(sockets):
                sockets = _new_folder(stack, SHORT_FOLDER) / "sockets"
                sockets.mkdir(0o700)
                if server.system_user:
                    shutil.chown(sockets, server.system_user)
            process = subprocess.Popen(
                [server.bin_path / "postgres", "-D", data, "-k", sockets, *(f"-c{setting}" for setting in SETTINGS)],
                user=server.system_user,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=stack.enter_context((folder / "log").open("w")),
                stderr=subprocess.STDOUT,
                preexec_fn=end_with_parent(),
            )
        except (OSError, subprocess.SubprocessError) as failed:
            raise _does_not_start(folder, str(failed)) from None
        stack.callback(_stop, process)
        url = url_of(server.postgres_user, "postgres", sockets)
        _wait_until_ready(process, url, folder)
        yield url


def _new_folder(stack: ExitStack, parent: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    lock = stack.enter_context((folder / LOCK).open("w"))
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder.chmod(0o711)  # root's PostgreSQL is another user
    return folder


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return
        except psycopg.OperationalError as refused:
            if process.poll() is not None or time.monotonic() > deadline:
                raise _does_not_start(folder, _reason(folder / "log") or str(refused)) from None
        time.sleep(0.05)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)  # to PostgreSQL: disconnect all, then end
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _sweep() -> None:
    """Remove what processes that were killed have left."""
    parents = {Path(tempfile.gettempdir()), SHORT_FOLDER}
    for folder in (found for parent in parents for found in parent.glob(f"{PREFIX}*")):
        with suppress(OSError):
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
            with os.fdopen(descriptor) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


def _reason(log: Path) -> str:
    """The line in which PostgreSQL says why it ends, which others may follow; else its last one."""
    with suppress(OSError):
        lines = log.read_text(errors="replace").strip().splitlines()
        return next((found[0] for line in reversed(lines) if (found := GAVE_UP.search(line))), "".join(lines[-1:]))
    return ""


def _does_not_start(folder: Path, reason: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        "a PostgreSQL for the proof does not start in "
        f"{folder}: {' '.join(reason.split())}; "
        "set TMPDIR to another folder"
    )
