"""The way to PostgreSQL: ours or the user's, migrated, behind a pool that notices a hung connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from machine.settings import DatabaseSection
from orchestrator import embedded, schema
from orchestrator.errors import DatabaseUnavailable

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

TROUBLE = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
"""What a lost or unreachable PostgreSQL raises; the statement may work on a new connection."""


@asynccontextmanager
async def open_database(section: DatabaseSection) -> AsyncIterator[Pool]:
    """Connections to the migrated database of ``[database]``.

    Raises:
        DatabaseUnavailable: it does not answer, is too old, or cannot be started.
    """
    with ExitStack() as stack:
        url = section.url
        if url == "embedded":
            url = stack.enter_context(embedded.running(section.data_dir))
        await asyncio.to_thread(prepare, url)
        async with make_pool(url) as pool:
            yield pool


def make_pool(url: str) -> Pool:
    """A pool that is opened by ``async with``."""
    return AsyncConnectionPool(
        url,
        kwargs=CONNECTION,
        min_size=1,
        max_size=POOL_SIZE,
        timeout=WAIT_SECONDS,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )


def prepare(url: str) -> None:
    """Prove that the database answers and is new enough, and bring its tables up to date.

    Raises:
        DatabaseUnavailable: it is not.
    """
    try:
        with psycopg.connect(url, autocommit=True, **CONNECTION) as connection:
            version = connection.info.server_version // 10_000
            if version < OLDEST_VERSION:
                raise DatabaseUnavailable(
                    f"{_where(url)} is PostgreSQL {version}; [database] url needs {OLDEST_VERSION} or newer"
                )
            schema.migrate(url, connection)
    except psycopg.Error as refused:
        reason = " ".join(str(refused).split())
        raise DatabaseUnavailable(
            f"{_where(url)} cannot be used: {reason}; correct [database] url, then try: orchestrator check"
        ) from refused


def _where(url: str) -> str:
    """The database without its password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "the database in [database] url"
    return f"the database {parts.get('dbname', '')} at {parts.get('host', 'localhost')}"
