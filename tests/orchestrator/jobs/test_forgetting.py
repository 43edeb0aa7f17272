"""Recordings that are gone or forgotten are found among very many."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.database.sql import Connection, fetch_value
from orchestrator.jobs import deletion, removed_objects
from tests.orchestrator.conftest import BUCKET


async def scans(connection: Connection, table: str) -> int:
    """How often this connection has read the whole table, since PostgreSQL last collected that."""
    count: int = await fetch_value(
        connection, "select coalesce(sum(seq_scan), 0)::int from pg_stat_xact_user_tables where relname = %s", (table,)
    )
    return count


@asynccontextmanager
async def no_scan(connection: Connection, table: str) -> AsyncIterator[None]:
    before = await scans(connection, table)
    yield
    assert await scans(connection, table) == before


async def test_neither_what_is_gone_nor_what_is_forgotten_needs_a_scan(pool, sql):
    await sql("insert into media (bucket, savepath) select %s, n || '/a.mp4' from generate_series(1, 30000) n", BUCKET)
    await sql("insert into jobs (kind, media_id, state) select 'transcribe', id, 'queued' from media")
    await sql("analyze jobs, media")
    async with pool.connection() as connection, no_scan(connection, "media"):
        reported = ["7", "8/a.mp4", "9/a", "10/"]
        assert sorted(await removed_objects.known_at(connection, BUCKET, reported)) == ["7/a.mp4", "8/a.mp4"]
    async with pool.connection() as connection, no_scan(connection, "jobs"):
        ids = list((await deletion.recordings(connection, BUCKET, None, "12", 50)).values())
        assert await deletion.lock(connection, ids) is not None
        assert (await deletion.remove(connection, ids)).jobs == 50
