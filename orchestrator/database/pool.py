"""Connections to PostgreSQL, ours or the user's: migrated, behind a pool that notices a hung connection."""

import asyncio
import os
import select
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from orchestrator.database import schema
from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.sql import fetch_value
from orchestrator.errors import DatabaseUnavailable
from reelscribe.settings.orchestrator import DatabaseSection
from reelscribe.trust import authorities

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]

OLDEST_VERSION = 14
POOL_SIZE = 10
WAIT_SECONDS = 10.0
CONNECTION: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "reelscribe",
}
"""A connection whose other end is gone is noticed within about 30 s (libpq; the last but one is in milliseconds)."""

IDLE_SECONDS = 60
TRUSTED_SECONDS = 2.0
"""How long after an answer of PostgreSQL a connection is not asked whether it works."""

CONNECTION_ERRORS = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.InsufficientPrivilege,
    PoolTimeout,
)
"""What a lost or unreachable PostgreSQL raises, or one that cannot read its files; the statement may work later."""


@asynccontextmanager
async def open_database(section: DatabaseSection, creates: bool = False, migrates: bool = False) -> AsyncIterator[Pool]:
    """Connections to the database of ``[database]``, whose tables are those of this version.

    Args:
        creates: the embedded one, if there is none yet, and the tables of an empty one.
        migrates: the tables of an earlier version.

    Raises:
        NoTables: it is empty, and nothing is to be created.
        OlderTables: its tables are of an earlier version, and nothing is to be changed.
        NewerTables: they are of a newer version.
        DatabaseUnavailable: it does not answer, is too old, or cannot be started.
    """
    with running(section, creates) as url:
        await asyncio.to_thread(prepare, url, creates, migrates)
        async with make_pool(url, section.answer_timeout) as pool:
            yield pool


@contextmanager
def running(section: DatabaseSection, creates: bool = False) -> Iterator[str]:
    """The URL of the database of ``[database]``; the embedded one runs meanwhile.

    Raises:
        DatabaseUnavailable: the embedded one cannot be started, or there is none and ``creates`` is false.
    """
    if section.url != "embedded":
        yield trusting(section.url)
        return
    from orchestrator.database import embedded  # its library takes long to import

    with embedded.running(section.data_dir, creates) as url:
        yield url


def trusting(url: str) -> str:
    """The URL with the authorities of ``[auth] tls_ca``, if it has PostgreSQL's certificate verified by none of its
    own.
    """
    with suppress(psycopg.ProgrammingError):  # of which :func:`prepare` says more
        parts, trusted = conninfo_to_dict(url), authorities()
        if trusted and "sslrootcert" not in parts and str(parts.get("sslmode", "")).startswith("verify"):
            return f"{url}&{urlencode({'sslrootcert': str(trusted)})}"
    return url


class _LimitedConnection(psycopg.AsyncConnection[Any]):
    """A connection that breaks if PostgreSQL is silent for too long. TCP's own keepalives only prove that some kernel
    answers: a server that hangs, or a proxy whose other side is gone, answers them indefinitely.

    Attributes:
        answer_timeout: in seconds.
        answered_at: monotonic second of the last answer.
    """

    answer_timeout: float
    answered_at = float("-inf")

    async def wait(self, *args: Any, **kwargs: Any) -> Any:
        timer = asyncio.get_running_loop().call_later(self.answer_timeout, _hang_up, self.pgconn.socket)
        try:
            answer = await super().wait(*args, **kwargs)
        finally:
            timer.cancel()
        self.answered_at = time.monotonic()
        return answer


async def _check(connection: psycopg.AsyncConnection[Any]) -> None:
    """Prove that a connection works before it is used. Not by a question to PostgreSQL if that has just answered:
    had it ended the connection since, there were something to read.
    """
    assert isinstance(connection, _LimitedConnection)
    ended = select.poll()
    ended.register(connection.pgconn.socket, select.POLLIN)
    if time.monotonic() > connection.answered_at + TRUSTED_SECONDS or ended.poll(0):
        await AsyncConnectionPool.check_connection(connection)


def make_pool(url: str, answer_timeout: float = 30) -> Pool:
    """A pool that is opened by ``async with``; ``answer_timeout`` in seconds is for each statement."""
    return AsyncConnectionPool(
        url,
        connection_class=_limited(answer_timeout),
        configure=_limit_idle_transactions,
        kwargs=CONNECTION,
        min_size=1,
        max_size=POOL_SIZE,
        timeout=WAIT_SECONDS,
        check=_check,
        open=False,
    )


def _limited(seconds: float) -> type[_LimitedConnection]:
    return type("LimitedConnection", (_LimitedConnection,), {"answer_timeout": seconds})


def _hang_up(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as connected, suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


async def _limit_idle_transactions(connection: psycopg.AsyncConnection[Any]) -> None:
    """A process that was stopped in the middle of a transaction must not hold its locks indefinitely."""
    await connection.execute(f"set idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
    await connection.commit()


@asynccontextmanager
async def single_statements(pool: Pool) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection on which each statement is a transaction by itself, which saves two round trips."""
    async with pool.connection() as connection:
        await connection.set_autocommit(True)
        try:
            yield connection
        finally:
            if connection.info.transaction_status == TransactionStatus.IDLE:
                await connection.set_autocommit(False)
            else:  # it is broken: the pool makes another
                await connection.close()


@asynccontextmanager
async def try_lock(pool: Pool, lock: AdvisoryLock) -> AsyncIterator[bool]:
    """Whether this process holds the lock during the block: only if no other process does.

    PostgreSQL releases it with the connection, however the process ends.
    """
    async with pool.connection() as connection:
        await connection.set_autocommit(True)
        locked = await fetch_value(connection, "select pg_try_advisory_lock(%s)", (lock,))
        try:
            yield bool(locked)
        finally:
            if locked:
                await connection.execute("select pg_advisory_unlock(%s)", (lock,))
            await connection.set_autocommit(False)


def one_line(error: BaseException) -> str:
    """What it says, without the line ends that PostgreSQL puts in."""
    return " ".join(str(error).split())


def prepare(url: str, creates: bool = True, migrates: bool = True) -> None:
    """Prove that the database answers and is new enough, and bring its tables up to date.

    Args:
        creates: the tables of an empty one.
        migrates: the tables of an earlier version.

    Raises:
        NoTables: it is empty, and nothing is to be created.
        OlderTables: its tables are of an earlier version, and nothing is to be changed.
        NewerTables: they are of a newer version.
        DatabaseUnavailable: it is not.
    """
    try:
        with psycopg.connect(url, autocommit=True, **CONNECTION) as connection:
            version = connection.info.server_version // 10_000
            if version < OLDEST_VERSION:
                raise DatabaseUnavailable(
                    f"{_where(url)} is PostgreSQL {version}; [database] url needs {OLDEST_VERSION} or newer"
                )
            _refuse_shared_connections(url, connection)
            schema.migrate(url, connection, creates, migrates)
    except psycopg.Error as refused:
        raise DatabaseUnavailable(
            f"{_where(url)} cannot be used: {one_line(refused)}; correct [database] url, then try: orchestrator check"
        ) from refused


def _refuse_shared_connections(url: str, connection: psycopg.Connection[Any]) -> None:
    """A pooler that gives each transaction another connection loses locks, notifications and prepared statements.

    A pooler makes up the process ID that it reports to its clients. With one, two clients that are connected at the
    same time have the same process of PostgreSQL only if it shares.
    """
    process = _process(connection)
    if process == connection.info.backend_pid:
        return
    with psycopg.connect(url, autocommit=True, **CONNECTION) as other:
        if _process(other) in (process, _process(connection)):
            raise DatabaseUnavailable(
                f"{_where(url)} is behind a pooler that shares connections between transactions, which loses locks and "
                "notifications; set pool_mode = session there (PgBouncer), or name PostgreSQL itself in [database] url"
            )


def _process(connection: psycopg.Connection[Any]) -> int:
    [process] = connection.execute("select pg_backend_pid()", prepare=False).fetchone() or [0]
    return int(process)


def _where(url: str) -> str:
    """The database without its password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "the database in [database] url"
    return f"the database {parts.get('dbname', '')} at {parts.get('host', 'localhost')}"
