"""The database: migrated by whoever comes first, and lost without harm."""

import asyncio
import os
import signal
from contextlib import suppress

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from orchestrator.database import embedded
from orchestrator.database.pool import CONNECTION_ERRORS, make_pool, prepare
from orchestrator.errors import DatabaseUnavailable
from orchestrator.intake.submission import Submissions
from orchestrator.jobs.models import Options
from orchestrator.queue.procrastinate import Queue
from orchestrator.transcripts import queries as transcript_queries
from tests.orchestrator.conftest import BUCKET, run_worker
from tests.orchestrator.databases import on_the_server_of
from tests.orchestrator.scripted import LONG, finished, started, window
from tests.waiting import eventually


@pytest.fixture
def empty_url(postgres):
    with psycopg.connect(make_conninfo(postgres, dbname="postgres"), autocommit=True) as connection:
        connection.execute("create database fresh")
        yield on_the_server_of(postgres, "fresh")
        connection.execute("drop database fresh with (force)")


REFUSALS = {
    "a user who may not create tables": (
        "create database given owner postgres",
        "",
        "the user outsider may not create tables in the database given; let an administrator run there: "
        "grant usage, create on schema public to outsider",
    ),
    "a database without an encoding": (
        "create database given owner outsider encoding 'SQL_ASCII' template template0 locale 'C'",
        "",
        "the database given has the encoding SQL_ASCII, which does not hold all languages; make another one for "
        "[database] url: createdb --owner=outsider --encoding=UTF8 --template=template0 NAME",
    ),
    "tables of another user": (
        "create database given owner outsider",
        "prepare",
        "the tables in the database given belong to the user postgres, not to outsider; name postgres in "
        "[database] url, or restore a dump of it as outsider, with pg_restore --no-owner",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_database_that_was_made_by_hand_is_refused_with_what_to_do(what, postgres):
    making, prepared, sentence = REFUSALS[what]
    with psycopg.connect(make_conninfo(postgres, dbname="postgres"), autocommit=True) as connection:
        connection.execute("create role outsider login")
        try:
            connection.execute(making)
            url = on_the_server_of(postgres, "given")
            with psycopg.connect(url, autocommit=True) as inside:
                inside.execute("revoke create on schema public from public")  # as PostgreSQL does by itself since 15
            if prepared:
                prepare(url)
            with pytest.raises(DatabaseUnavailable) as refused:
                prepare(url.replace("postgres:@", "outsider:@"))
            assert refused.value.message == sentence
        finally:
            connection.execute("drop database if exists given with (force)")
            connection.execute("drop role outsider")


def test_a_user_with_the_rights_that_the_sentence_names_can_use_the_database(postgres):
    with psycopg.connect(make_conninfo(postgres, dbname="postgres"), autocommit=True) as connection:
        connection.execute("create role outsider login")
        try:
            connection.execute("create database given")
            url = on_the_server_of(postgres, "given")
            with psycopg.connect(url, autocommit=True) as inside:
                inside.execute("grant usage, create on schema public to outsider")
            prepare(url.replace("postgres:@", "outsider:@"))
            assert "segments" in tables(url)
        finally:
            connection.execute("drop database if exists given with (force)")
            connection.execute("drop role outsider")


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("select tablename from pg_tables where schemaname = 'public' order by 1")
        return [row[0] for row in rows]


async def test_processes_that_come_at_the_same_time_migrate_once(empty_url, postgres):
    await asyncio.gather(*(asyncio.to_thread(prepare, empty_url) for _ in range(4)))
    assert tables(empty_url) == tables(postgres)


async def test_a_migration_that_died_is_repeated(empty_url, postgres):
    prepare(empty_url)
    with psycopg.connect(empty_url) as connection:
        connection.execute(r"delete from _yoyo_migration where migration_id ~ '^\d{4}\.'")
        ours = connection.execute(
            r"""
            select 'table', relname from pg_class
            where relnamespace = 'public'::regnamespace and relkind = 'r' and relname !~ '^(procrastinate|_?yoyo)'
            union all
            select 'function', proname from pg_proc
            where pronamespace = 'public'::regnamespace and proname !~ '^procrastinate'
            """
        ).fetchall()
        for kind, name in ours:
            connection.execute(f"drop {kind} if exists {name} cascade")  # gone with a table that it takes rows of
        connection.execute("drop index queue_order; alter table procrastinate_jobs drop column savepath")
        connection.execute("alter table procrastinate_jobs drop column bucket")
        connection.execute("insert into yoyo_lock (locked, ctime, pid) values (1, now(), 1)")
    prepare(empty_url)
    assert tables(empty_url) == tables(postgres)


def test_a_database_of_before_gets_its_new_columns(empty_url):
    prepare(empty_url)
    with psycopg.connect(empty_url) as connection:
        connection.execute(
            """
            delete from _yoyo_migration where migration_id like '0002%';
            drop view transcriptions;
            alter table jobs drop column speech_without_words;
            alter table attempts drop column speech_without_words;
            create view transcriptions as select * from jobs where kind = 'transcribe';
            alter view transcriptions alter column kind set default 'transcribe';
            insert into media (bucket, savepath) values ('videos', 'old.mp4');
            insert into transcriptions (media_id) select id from media
            """
        )
    prepare(empty_url)
    with psycopg.connect(empty_url) as connection:
        connection.execute("insert into transcriptions (media_id, options) select id, '{\"track\": 1}' from media")
        rows = connection.execute("select kind, speech_without_words from transcriptions").fetchall()
        assert rows == [("transcribe", None)] * 2
        assert connection.execute("select speech_without_words from attempts").fetchall() == []


async def test_connections_that_are_cut_in_the_middle_of_a_job_cost_nothing(
    submit, working, job_in, transcriber, sql, database_url
):
    async def script(b):
        await b.tell(started(LONG), *window(0))
        await asyncio.sleep(0.2)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        await b.tell(*window(1), *window(2), finished(LONG))

    transcriber.scripts = [script]
    async with working():
        job = await job_in((await submit()).id, "done")
    assert (job.attempt, await sql("select count(*) from segments")) == (1, [(6,)])


async def test_a_restart_of_postgresql_in_the_middle_of_a_job_loses_nothing(data_dir, transcriber):
    restart = asyncio.Event()

    async def script(b):
        await b.tell(started(LONG), *window(0))
        restart.set()
        await b.tell(*window(1))
        await asyncio.sleep(1)
        await b.tell(*window(2), finished(LONG))

    transcriber.scripts = [script]
    with embedded.running(data_dir) as url:
        prepare(url)
        async with make_pool(url) as pool, run_worker(url, (transcriber.url,), 5):
            queue = Queue(pool)
            await queue.open()
            await Submissions(pool, queue).submit(BUCKET, ["talk.mp4"], Options())
            await restart.wait()
            os.kill(int((data_dir / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
            with embedded.running(data_dir):

                async def found():
                    with suppress(*CONNECTION_ERRORS):  # until all of those to the old server are gone
                        async with pool.connection() as connection:
                            return await transcript_queries.transcript(connection, BUCKET, "talk.mp4")

                transcript = await eventually(found)
    assert [segment.text for segment in transcript.segments] == [f"sentence {index}" for index in range(6)]


async def test_commands_that_only_read_leave_an_empty_database_empty(empty_url, commands):
    config = commands.config.read_text()
    head, _, _ = config.partition("url = postgres")
    commands.config.write_text(f"{head}url = {empty_url}\n")
    sentence = "the database has no tables yet: orchestrator serve, worker, up or submit makes them"
    for arguments in (("status",), ("list",), ("submit", "a.mp4", "--dry-run"), ("cancel", "a.mp4")):
        outcome = await commands.run(*arguments)
        assert (outcome.code, outcome.out, outcome.err) == (1, "", f"{sentence}\n")
    assert f"ok   database: {sentence}; the user may" in (await commands.run("check")).out
    with psycopg.connect(empty_url, autocommit=True) as connection:
        assert tables(empty_url) == []
        connection.execute(
            "alter database empty set default_transaction_read_only = on".replace("empty", connection.info.dbname)
        )
    assert "cannot execute CREATE TABLE in a read-only transaction" in (await commands.run("check")).out
