"""Index entries that an older version made are made again, and search works meanwhile."""

import asyncio
import shutil

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from orchestrator.database import schema
from orchestrator.database.pool import make_pool, prepare
from orchestrator.services import search_entries
from orchestrator.transcripts import search_index
from orchestrator.transcripts.search import SearchQuery, search
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.databases import on_the_server_of


@pytest.fixture
def old_database(postgres, tmp_path, monkeypatch):
    """The URL of a database as it was before migration 0008, with a transcript."""
    old = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, old, ignore=lambda _, names: [name for name in names if name >= "0007"])
    with psycopg.connect(make_conninfo(postgres, dbname="postgres"), autocommit=True) as connection:
        connection.execute("create database old")
        url = on_the_server_of(postgres, "old")
        with monkeypatch.context() as patched:
            patched.setattr(schema, "MIGRATIONS", old)
            prepare(url)
        with psycopg.connect(url) as filling:
            filling.execute("insert into media (bucket, savepath) values (%s, 'old.mp4')", (BUCKET,))
            filling.execute(
                "insert into transcriptions (media_id, state, complete, finished_at) values (1, 'done', true, now())"
            )
            filling.execute(
                """
                insert into segments (transcription_id, index, start_seconds, end_seconds, text, tokens, avg_logprob,
                    no_speech_prob, compression_ratio, temperature, search)
                values (1, 0, 0, 4, 'a very happy', '{}', 0, 0, 0, 0, '''a'':1A ''very'':2A ''happy'':3A'),
                    (1, 1, 4, 8, 'horse at 5 p.m.', '{}', 0, 0, 0, 0,
                        '''a'':1 ''very'':2 ''happy'':3 ''horse'':4A ''at'':5A ''5'':6A ''p'':7A ''m'':8A')
                """
            )
        yield url
        connection.execute("drop database old with (force)")


async def test_an_old_database_is_indexed_again_while_it_is_searched(old_database, monkeypatch):
    prepare(old_database)
    monkeypatch.setattr(search_index, "BATCH", 1)
    async with make_pool(old_database) as pool:

        async def found(q: str) -> list[int]:
            async with pool.connection() as connection:
                return [hit.index for hit in (await search(connection, SearchQuery(q=q), BUCKET)).hits]

        async def batch() -> search_index.Batch | None:
            async with pool.connection() as connection:
                return await search_index.reindex_batch(connection)

        assert await found('"happy horse"') == [1] and await found("pm") == []
        assert await batch() == (1, 1)
        assert await found('"very happy"') == [0] and await found('"happy horse"') == [1] and await found("pm") == []
        assert await batch() == (1, 1) and await batch() is None
        assert await found('"happy horse at 5 pm"') == [1]
        async with pool.connection() as connection:
            assert await search_index.is_complete(connection)


async def test_a_service_indexes_again_what_an_older_one_stores(pool, store_transcript, sql, monkeypatch):
    monkeypatch.setattr(search_entries, "EVERY_SECONDS", 0.05)
    await store_transcript("a.mp4", "some", "words")
    made = await sql("select search::text from segments order by index")
    keeping = asyncio.create_task(search_entries.keep_current(pool))
    for _ in range(2):
        await sql("update segments set search = '', search_version = 0")
        async with asyncio.timeout(60):
            while await sql("select 1 from segments where search_version = 0"):
                await asyncio.sleep(0.05)
        assert await sql("select search::text from segments order by index") == made
    keeping.cancel()


async def test_an_entry_is_that_of_the_text_that_was_changed_meanwhile(pool, store_transcript, sql):
    job = await store_transcript("a.mp4", "old words", "follow")
    id = (await sql("select max(id) from jobs"))[0][0]
    async with pool.connection() as editing, pool.connection() as indexing:
        await editing.execute("update segments set text = 'new words' where index = 0")
        reindexing = asyncio.create_task(search_index.reindex(indexing, search_index.Range(id, 0, 1)))
        await _waits_for_a_lock(sql)
        await editing.commit()
        await reindexing
    made = [entry for (entry,) in await sql("select search::text from segments order by index")]
    assert "'new'" in made[0] and "'new'" in made[1] and "'old'" not in made[0] + made[1], job


async def test_newer_transcriptions_are_not_looked_through_again(pool, store_transcript, sql):
    for savepath in ("a.mp4", "b.mp4", "c.mp4"):
        await store_transcript(savepath, "some words")
    await sql("update segments set search_version = 0")
    first, second, _ = [id for (id,) in await sql("select distinct transcription_id from segments order by 1")]
    async with pool.connection() as connection:
        assert await search_index.reindex_batch(connection, second) == (second, 1)
        assert await search_index.reindex_batch(connection, second) == (first, 1)
        assert await search_index.reindex_batch(connection, second) is None


async def _waits_for_a_lock(sql):
    async with asyncio.timeout(60):
        while not await sql(
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%%segments%%'"
        ):
            await asyncio.sleep(0.02)
