"""A database that answers no more, though its connections stay open: as behind a proxy whose other side is gone."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

import psycopg
import pytest

from orchestrator.database import TROUBLE, make_pool
from tests.orchestrator.conftest import run_worker
from tests.orchestrator.scripted import LONG, finished, started, window


class Proxy:
    """Passes bytes on to PostgreSQL's socket, until it falls silent; it keeps all connections open."""

    def __init__(self, path: str, database: str) -> None:
        self._path = path
        self._database = database
        self._open = asyncio.Event()
        self._open.set()
        self._streams: list[asyncio.StreamWriter] = []
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{port}/{quote(self._database)}"
        try:
            yield self
        finally:
            server.close()
            for stream in self._streams:
                stream.close()

    def fall_silent(self) -> None:
        self._open.clear()

    def speak(self) -> None:
        self._open.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._path)
        self._streams += [writer, to_server]
        await asyncio.gather(self._pass_on(reader, to_server), self._pass_on(from_server, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def proxy(sql) -> AsyncIterator[Proxy]:
    [(database,)] = await sql("select current_database()")
    [(folder,)] = await sql("show unix_socket_directories")
    async with Proxy(f"{folder}/.s.PGSQL.5432", database).listening() as proxy:
        yield proxy


async def test_a_silent_database_is_noticed(proxy):
    async with make_pool(proxy.url, answer_timeout=0.5) as pool, pool.connection() as connection:
        await connection.execute("select 1")
        proxy.fall_silent()
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
        assert time.monotonic() - began < 2


async def test_whoever_asks_next_gets_an_error_and_not_a_wait_for_ever(proxy):
    async with make_pool(proxy.url, answer_timeout=0.5) as pool:
        async with pool.connection() as connection:
            await connection.execute("select 1")
        proxy.fall_silent()
        with pytest.raises(TROUBLE):
            async with pool.connection(timeout=2) as connection:
                await connection.execute("select 1")


async def test_a_job_goes_on_when_a_silent_database_speaks_again(proxy, submit, job_in, machine_b, sql):
    async def script(b):
        await b.tell(started(LONG), *window(0))
        await asyncio.sleep(0.3)
        proxy.fall_silent()
        await b.tell(*window(1))
        await asyncio.sleep(2)
        proxy.speak()
        await b.tell(*window(2), finished(LONG))

    machine_b.scripts = [script]
    async with run_worker(proxy.url, (machine_b.url,), 10, answer_timeout=0.5):
        done = await job_in((await submit()).id, "done")
    assert (done.attempt, await sql("select count(*), count(distinct text) from segments")) == (1, [(6, 6)])


async def test_a_transaction_of_a_stopped_process_does_not_hold_its_locks_for_ever(pool):
    async with pool.connection() as connection:
        cursor = await connection.execute("show idle_in_transaction_session_timeout")
        assert await cursor.fetchone() == ("1min",)
