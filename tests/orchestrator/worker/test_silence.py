"""A database that answers no more, though its connections stay open: as behind a proxy whose other side is gone."""

import asyncio

import psycopg
import pytest

from orchestrator.database.pool import CONNECTION_ERRORS, make_pool
from tests.orchestrator.conftest import run_worker
from tests.orchestrator.scripted import LONG, finished, started, window


async def test_a_silent_database_is_noticed(proxy):
    async with make_pool(proxy.url, answer_timeout=0.5) as pool, pool.connection() as connection:
        await connection.execute("select 1")
        proxy.fall_silent()
        async with asyncio.timeout(60):
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("select 1")


async def test_whoever_asks_next_gets_an_error_and_not_an_endless_wait(proxy):
    async with make_pool(proxy.url, answer_timeout=0.5) as pool:
        async with pool.connection() as connection:
            await connection.execute("select 1")
        proxy.fall_silent()
        with pytest.raises(CONNECTION_ERRORS):
            async with pool.connection(timeout=2) as connection:
                await connection.execute("select 1")


async def test_a_job_continues_when_a_silent_database_speaks_again(proxy, submit, job_in, transcriber, sql):
    async def script(b):
        await b.tell(started(LONG), *window(0))
        await asyncio.sleep(0.3)
        proxy.fall_silent()
        await b.tell(*window(1))
        await asyncio.sleep(2)
        proxy.speak()
        await b.tell(*window(2), finished(LONG))

    transcriber.scripts = [script]
    async with run_worker(proxy.url, (transcriber.url,), 10, answer_timeout=1):
        done = await job_in((await submit()).id, "done")
    assert (done.attempt, await sql("select count(*), count(distinct text) from segments")) == (1, [(6, 6)])


async def test_a_transaction_of_a_stopped_process_does_not_hold_its_locks_indefinitely(pool):
    async with pool.connection() as connection:
        cursor = await connection.execute("show idle_in_transaction_session_timeout")
        assert await cursor.fetchone() == ("1min",)


async def test_a_fetch_whose_commit_is_not_answered_is_not_lost(proxy, submit, job_in, transcriber):
    async with run_worker(proxy.url, (transcriber.url,), 5):
        proxy.lose_answer_to_commit_after(b"set status = 'doing'")
        await job_in((await submit()).id, "done")
    assert proxy.lost.is_set()
