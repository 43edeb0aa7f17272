"""The PostgreSQL of our own: started by the first command that needs it, shared by all, stopped by the last one."""

import atexit
import fcntl
import logging
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import psutil
import psycopg
from psycopg import errors as postgres_errors

from orchestrator.database.packaged import (
    NOT_IN_PATH,
    PROGRAMS,
    TARGET_POSTGRES_VERSION,
    PostgresServer,
    PostmasterInfo,
    find_suitable_socket_dir,
    get_server,
    new_server,
    pgdata_version,
    url_of,
)
from orchestrator.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

DATABASE = "reelscribe"
START_SECONDS = 120.0
"""Longest wait for a server that repairs itself after a crash."""
ANSWER_SECONDS = 10.0
"""Longest wait for one that does not say that it is on its way."""
CONNECT_SECONDS = 5
ROOTS_USER = "pgserver"
"""As whom PostgreSQL, which refuses to be root, runs where we are root."""
LEAST_FREE_BYTES = 64 << 20
"""With less, PostgreSQL cannot be relied on to start; a new database takes about 40 MB."""
GUARD_SECONDS = 1.0
"""How often each user looks whether the server is there."""
MAY_PASS = (subprocess.SubprocessError, AssertionError, psycopg.OperationalError)
"""What a start may raise that another one need not: pg_ctl gives up after 10 s, the library insists on 'ready'."""
COMES_OR_GOES = (postgres_errors.CannotConnectNow, postgres_errors.AdminShutdown, postgres_errors.CrashShutdown)
"""What a server answers while it comes up, and as it dies."""
STATUS_LINE = 7
"""Of postmaster.pid, counted from 0."""
SOCKET_LOCK = ".s.PGSQL.5432.lock"
STILL_IN_USE = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')
"""What PostgreSQL says while a child of a server that was killed still runs, or as another start was faster."""
GAVE_UP = re.compile(r"\b(?:FATAL|PANIC):.*")
"""How PostgreSQL says why it does not start; one that was killed meanwhile says nothing."""


@contextmanager
def running(data_dir: Path, creates: bool = True) -> Iterator[str]:
    """The URL of the database in ``data_dir``, which is started where it is not yet.

    Every user of the server holds a shared file lock that the kernel lets go when the process ends, however it ends;
    who gets it exclusively on leaving is the last one, and stops the server.

    Args:
        creates: the database if there is none; else nothing at all is made or changed then.

    Raises:
        DatabaseUnavailable: there is none, the folder cannot be used, or PostgreSQL does not start.
    """
    _refuse_other_owner(data_dir)
    _refuse_unstartable(data_dir)
    _refuse_other_version(data_dir)
    if not creates and not data_dir.is_file() and not (data_dir / "PG_VERSION").exists():
        raise DatabaseUnavailable(
            f"there is no database yet in [database] data_dir {data_dir}: orchestrator up, serve, worker or submit "
            "makes one; if yours is elsewhere, name its config.cfg with --config"
        )
    _pass_closed_folders(data_dir, "name another folder, such as /var/lib/reelscribe/postgres", opens=creates)
    _pass_closed_folders(PROGRAMS, "install Reelscribe elsewhere", opens=creates)
    lock_path = data_dir.with_name(f".{data_dir.name}.users")
    try:
        _make_parents(data_dir)
        users = lock_path.open("a")
    except OSError as refused:
        raise _unusable(data_dir, refused.strerror or str(refused)) from refused
    with users:
        fcntl.flock(users, fcntl.LOCK_SH)
        server, url = _start(data_dir)
        try:
            with _guarded(data_dir):
                yield url
        finally:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.debug("PostgreSQL in %s is in use elsewhere and keeps running", data_dir)
            else:
                _stop(server)


@contextmanager
def _guarded(data_dir: Path) -> Iterator[None]:
    """Start the server again should it die (kill -9, out of memory) while it is in use; nothing else would."""
    leaving = threading.Event()

    def guard() -> None:
        reported = ""
        while not leaving.wait(GUARD_SECONDS):
            try:
                if _postmaster(data_dir) is None:
                    log.warning("PostgreSQL in %s has died; it is started again", data_dir)
                    _start(data_dir)
                reported = ""
            except DatabaseUnavailable as failure:  # the next look tries again
                if failure.message != reported:
                    log.warning("%s", failure.message)
                reported = failure.message

    thread = threading.Thread(target=guard, name="postgres-guard", daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join()


def _stop(server: PostgresServer) -> None:
    try:
        if _postmaster(server.pgdata) is None:
            return  # it has died
        server._postmaster_info = PostmasterInfo.read_from_pgdata(server.pgdata)  # it may be another one since we came
    except (DatabaseUnavailable, OSError):
        log.debug("the folder can no longer be read; the server that we know is stopped")
    with _alone(server.pgdata), suppress(psutil.NoSuchProcess):
        server.stop()


def _refuse_other_owner(data_dir: Path) -> None:
    """Leave the database of another user alone: as root, the library would take it away from him while he uses it."""
    try:
        owner = data_dir.stat().st_uid
    except FileNotFoundError:
        return
    except OSError as unreadable:
        raise _unusable(data_dir, unreadable.strerror or str(unreadable)) from unreadable
    name = _user_name(owner)
    if owner in (0, os.geteuid()) or (os.geteuid() == 0 and name == ROOTS_USER):
        return
    way = "root: sudo" if name == ROOTS_USER else f"that user: sudo -u {shlex.quote(name)}"
    raise DatabaseUnavailable(
        f"[database] data_dir {data_dir} belongs to the user {name}; run the command as {way} orchestrator ..."
    )


def _pass_closed_folders(used: Path, way_out: str, *, opens: bool) -> None:
    """Where we are root, PostgreSQL is another user, in root's group, who has to pass all folders above its data and
    programs. A command that ``opens`` lets it pass root's own, such as root's home, and says so.
    """
    if os.geteuid() != 0:
        return
    for folder in reversed(used.resolve().parents):
        try:
            found = folder.stat()
        except FileNotFoundError:
            return  # it will be made
        letter, needed = ("g", stat.S_IXGRP) if found.st_gid == os.getegid() else ("o", stat.S_IXOTH)
        if found.st_mode & needed or _user_name(found.st_uid) == ROOTS_USER:
            continue
        if not opens or found.st_uid != 0:
            raise DatabaseUnavailable(
                f"PostgreSQL refuses to run as root, and as the user {ROOTS_USER} it cannot enter {folder}, which "
                f"holds {used}: {way_out}, run the command as another user, name a server in [database] url, or let "
                f"it pass: chmod {letter}+x {shlex.quote(str(folder))}"
            )
        folder.chmod(stat.S_IMODE(found.st_mode) | needed)
        print(  # no line of a log: commands that are over soon log errors only
            f"PostgreSQL refuses to run as root; as the user {ROOTS_USER}, in root's group, it may pass {folder} now "
            f"(chmod {letter}+x)",
            file=sys.stderr,
        )


def _make_parents(data_dir: Path) -> None:
    """Make the folders above the data; those that we make PostgreSQL's user may pass."""
    for folder in reversed(data_dir.parents):
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                folder.chmod(0o755)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"  # as sudo takes it


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
            f"[database] data_dir {data_dir} was made by PostgreSQL {version}, this is {TARGET_POSTGRES_VERSION}: "
            f"bring it over with pg_upgrade, or with pg_dump and pg_restore; or run a server of version {version} on "
            "it and write its address into [database] url; or start again in another folder"
        )


def _refuse_unstartable(data_dir: Path) -> None:
    if found := set(NOT_IN_PATH).intersection(str(data_dir.resolve())):
        raise _unusable(data_dir, f"its path has {min(found)!r}, with which PostgreSQL does not start")


def _start(data_dir: Path) -> tuple[PostgresServer, str]:
    """The server, which is started if it does not run, and the URL of the database."""
    latest = time.monotonic() + START_SECONDS
    deadline = 0.0
    seen: list[psutil.Process | None] = []
    while True:
        said_before = _log_size(data_dir)
        try:
            with _alone(data_dir):
                _refuse_other_owner(data_dir)
                _initialise(data_dir)
                _forget_dead_server(data_dir.resolve())
                said_before = _log_size(data_dir)
                server = _started(data_dir)
            return server, _database_url(server)
        except (*MAY_PASS, OSError, RuntimeError, KeyError) as failed:
            said = _said(data_dir, said_before)
            last, seen = seen, [_postmaster(data_dir)]
            if seen != last or _is_on_its_way(data_dir, failed, said):
                deadline = min(time.monotonic() + ANSWER_SECONDS, latest)
            if not _passes(data_dir, failed, said) or time.monotonic() > deadline:
                raise _given_up(data_dir, failed, said) from failed
        time.sleep(0.5)


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Keep out all other starts and stops of this server, those of other threads too.

    The library's own lock is one file in /tmp that belongs to whoever came first, and no lock between threads.
    """
    with data_dir.with_name(f".{data_dir.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _started(data_dir: Path) -> PostgresServer:
    server = get_server(data_dir, cleanup_mode=None, start=False)
    server._lock = nullcontext()
    server.global_process_id_list.get_and_add = lambda value: []  # type: ignore[method-assign]
    try:
        server.start()
    finally:
        # Our lock decides who stops it, not the library's list of process ids, which kill -9 leaves wrong.
        atexit.unregister(server._cleanup)
        PostgresServer._instances.pop(server.pgdata, None)
    return server


def _passes(data_dir: Path, failed: Exception, said: str) -> bool:
    """Whether it is only that a server is about to die, or to come up, which may take long after a crash; or that it
    was killed while it came up, and had no time to say why it does not.
    """
    match failed:
        case subprocess.CalledProcessError() if (data_dir / "PG_VERSION").exists():
            is_final = GAVE_UP.search(said) and not _is_still_in_use(said)
            return not is_final or _postmaster(data_dir) is not None
        case subprocess.CalledProcessError():
            return False  # of initdb
        case psycopg.Error():
            return failed.sqlstate is None or isinstance(failed, COMES_OR_GOES)
        case _:
            return isinstance(failed, MAY_PASS)


def _is_on_its_way(data_dir: Path, failed: Exception, said: str) -> bool:
    """Whether a server is coming up, or going down, which may take long; one that merely runs has to answer soon."""
    if isinstance(failed, subprocess.TimeoutExpired) or _is_still_in_use(said):
        return True
    try:
        return (data_dir / "postmaster.pid").read_text().splitlines()[STATUS_LINE].strip() in ("starting", "stopping")
    except (OSError, IndexError):
        return False


def _is_still_in_use(said: str) -> bool:
    return any(reason in said for reason in STILL_IN_USE)


def _initialise(data_dir: Path) -> None:
    """Create the database next to its folder first: an interrupted one must not look like one that is ready."""
    if (data_dir / "PG_VERSION").exists():
        return
    unfinished = data_dir.with_name(f".{data_dir.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        new_server(unfinished)
    except subprocess.CalledProcessError:
        shutil.rmtree(unfinished, ignore_errors=True)  # on a full disk, above all
        raise
    unfinished.rename(data_dir)


def _postmaster(data_dir: Path) -> psutil.Process | None:
    """The server of this folder, if it runs: its process id may belong to any other program, or PostgreSQL, by now.

    Raises:
        DatabaseUnavailable: the folder cannot be read.
    """
    try:
        process = psutil.Process(int((data_dir / "postmaster.pid").read_text().split("\n", 1)[0]))
        return process if str(data_dir.resolve()) in process.cmdline() else None
    except (FileNotFoundError, ValueError, psutil.Error):
        return None
    except OSError as unreadable:
        raise _unusable(data_dir, unreadable.strerror or str(unreadable)) from unreadable


def _forget_dead_server(data_dir: Path) -> None:
    """Remove what a crash left. It may be cut off, and the library as well as PostgreSQL would take a process that has
    the same id by now for the server. Children of it that still run PostgreSQL knows by its shared memory.
    """
    if _postmaster(data_dir) is None:
        (data_dir / "postmaster.pid").unlink(missing_ok=True)
        (find_suitable_socket_dir(data_dir, PostgresServer.runtime_path) / SOCKET_LOCK).unlink(missing_ok=True)


def _database_url(server: PostgresServer) -> str:
    sockets = server.get_postmaster_info().socket_dir
    assert sockets
    url = url_of(server.postgres_user, "postgres", sockets)
    with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
        known = connection.execute("select from pg_database where datname = %s", (DATABASE,)).fetchone()
        if known is None:
            try:
                connection.execute(f"create database {DATABASE}")
            except (postgres_errors.DuplicateDatabase, postgres_errors.UniqueViolation):
                log.debug("another process has just created the database")
    return url_of(server.postgres_user, DATABASE, sockets)


def _given_up(data_dir: Path, failed: Exception, said: str) -> DatabaseUnavailable:
    if isinstance(failed, postgres_errors.ConnectionTimeout) and (hung := _postmaster(data_dir)):
        return DatabaseUnavailable(
            f"[database] data_dir {data_dir}: PostgreSQL (process {hung.pid}) runs there but has not answered for "
            f"{ANSWER_SECONDS:.0f} s; if it stays so, end it and try again, nothing stored is lost: kill -9 {hung.pid}"
        )
    return _unusable(data_dir, _reason(data_dir, failed, said))


def _reason(data_dir: Path, failed: Exception, said: str) -> str:
    if isinstance(failed, OSError):
        return failed.strerror or str(failed)
    if isinstance(failed, psycopg.Error):
        return " ".join(str(failed).split())
    if (free := shutil.disk_usage(data_dir.parent).free) < LEAST_FREE_BYTES:
        return f"its disk is full, or nearly so: {free >> 20} MB are free"
    words = " / ".join(said.strip().splitlines()[-3:]) or f"nothing new is in its log, {data_dir / 'log'}"
    return f"PostgreSQL does not start there: {words}"


def _log_size(data_dir: Path) -> int:
    with suppress(OSError):
        return (data_dir / "log").stat().st_size
    return 0


def _said(data_dir: Path, after: int) -> str:
    """What PostgreSQL has logged since the log had this size."""
    with suppress(OSError), (data_dir / "log").open("rb") as written:
        written.seek(after)
        return written.read().decode(errors="replace")
    return ""


def _unusable(data_dir: Path, reason: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"[database] data_dir {data_dir} cannot be used: {reason}; name another folder, or a server in [database] url"
    )
