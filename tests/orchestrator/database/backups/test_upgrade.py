"""Tables of an earlier version are brought up to date with a way back, and only by those who are to do it."""

import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orchestrator.database import embedded, schema
from orchestrator.database.backups import restoring
from orchestrator.database.backups.archive import Backup
from orchestrator.database.backups.making import make_backup
from orchestrator.database.backups.target import Target
from orchestrator.database.backups.upgrading import upgrade
from orchestrator.database.pool import prepare
from orchestrator.database.schema import MIGRATIONS
from orchestrator.errors import NotWritten, UpgradeFailed
from tests.orchestrator.commands import Orchestrator
from tests.orchestrator.database.backups.conftest import (
    contents_of,
    fill,
    killed,
    no_sessions,
    nothing,
    sessions,
    small_disk,
)

OURS = sorted(MIGRATIONS.glob("*.sql"))
DATA = """
    insert into media (bucket, savepath) values ('videos', 'old.mp4'), ('videos', 'queued.mp4');
    insert into jobs (kind, media_id, state, complete, finished_at, progress_seconds, model, language)
    select 'transcribe', id, 'done', true, now(), 8, 'tiny.en', 'en' from media where savepath = 'old.mp4';
    insert into jobs (kind, media_id) select 'transcribe', id from media where savepath = 'queued.mp4';
    insert into procrastinate_jobs (queue_name, task_name, args)
    select 'transcribe', 'transcribe', jsonb_build_object('job', id) from jobs where state = 'queued';
    update jobs set queue_job = (select max(id) from procrastinate_jobs) where state = 'queued';
    insert into attempts (transcription_id, attempt, transcriber_url, start_seconds)
    select id, 1, 'http://transcriber:8889', 0 from jobs where state = 'done';
    insert into segments (
        transcription_id, index, start_seconds, end_seconds, text, tokens, avg_logprob, no_speech_prob,
        compression_ratio, temperature, search
    )
    select id, number, number * 4, number * 4 + 3, 'A happy horse.', '{1, 2}', -0.2, 0.01, 1.3, 0, 'happy:1A horse:2A'
    from jobs, generate_series(0, 1) as number where state = 'done';
"""
"""What the first version of the tables could hold."""
BLOCK_CHANGES = """
    create function block_changes() returns event_trigger language plpgsql as $$
    begin
        if current_query() ~ 'references jobs' then perform pg_sleep(600); end if;
    end $$;
    create event trigger block_changes on ddl_command_start execute function block_changes();
"""
"""Some migration after the fifth does not end by itself: a session that blocked it would count as a service in use."""


@pytest.fixture
def older(postgres: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[int], str]]:
    """The URL of a database with data, as it was when there were only so many migrations."""
    name = "of_before"

    def make(count: int) -> str:
        some = tmp_path / "migrations"
        some.mkdir()
        for file in OURS[:count]:
            shutil.copy(file, some)
        url = make_conninfo(postgres, dbname=name)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(schema, "MIGRATIONS", some)
            prepare(url)
        with psycopg.connect(url) as connection:
            connection.execute(DATA.encode())
        return url

    with Target(make_conninfo(postgres, dbname=name), None).server() as server:
        server.execute(f"create database {name}")
        yield make
        target = Target(make_conninfo(postgres, dbname=name), None)
        for one in [name, target.unfinished, *(kept.name for kept in target.kept(server))]:
            target.drop(server, one)


@pytest.fixture
def upgrading(orchestrator: Orchestrator, tmp_path: Path) -> Callable[[str], Orchestrator]:
    """Commands on such a database."""

    def with_url(url: str) -> Orchestrator:
        parts = conninfo_to_dict(url)
        name = parts.pop("dbname")
        orchestrator.config.write_text(
            f"[database]\nurl = postgresql:///{name}?{urlencode(parts)}\n"
            f"data_dir = {tmp_path}/data\n[orchestrator]\nport = 0\nextractor_url = http://127.0.0.1:9\n"
        )
        return orchestrator

    return with_url


def texts(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "select m.savepath, s.text from segments s join jobs j on j.id = s.transcription_id "
            "join media m on m.id = j.media_id order by s.index"
        ).fetchall()


@pytest.mark.parametrize("count", [1, 5, 9, len(OURS) - 1])
async def test_every_earlier_version_is_upgraded_whichever_were_skipped(count, older, upgrading, commands, postgres):
    url = older(count)
    upgrading(url)
    upgraded = await commands.run("database", "upgrade")
    assert (upgraded.code, upgraded.err) == (0, "")
    done = re.fullmatch(r"upgraded: (\d+) migrations?; the database of before is in (\S+)\n", upgraded.out)
    assert done and int(done[1]) == len(OURS) - count
    assert texts(url) == [("old.mp4", "A happy horse.")] * 2
    with psycopg.connect(url) as connection:
        assert connection.execute("select savepath from procrastinate_jobs").fetchall() == [("queued.mp4",)]
    assert contents_of(url).objects == contents_of(postgres).objects
    assert (await commands.run("database", "check")).code == 0
    assert len(Backup(Path(done[2])).manifest.contents.migrations) == len(contents_of(url).migrations) - int(done[1])
    again = await commands.run("database", "upgrade")
    assert (again.code, again.out) == (0, "the tables are of this version already\n")


async def test_commands_say_what_upgrades_and_change_nothing(older, upgrading, commands):
    url = older(5)
    before = contents_of(url)
    upgrading(url)
    for command in (["status"], ["list"], ["show", "old.mp4"], ["search", "horse"], ["submit", "new.mp4"], ["check"]):
        refused = await commands.run(*command)
        assert refused.code == 1
        assert "bring them up to date with: orchestrator database upgrade (which makes a backup first), or start" in (
            refused.out + refused.err
        )
    checked = await commands.run("database", "check")
    assert checked.code == 1
    assert re.search(
        r"FAIL tables: of an earlier version: \d+ migrations to do; orchestrator database upgrade", checked.out
    )
    assert before.differences(contents_of(url)) == []


async def test_a_service_upgrades_when_it_starts(older, upgrading, postgres):
    url = older(5)
    worker = await upgrading(url).start("worker")
    await worker.says("database schema updated")
    await worker.ends(signal.SIGTERM)
    assert contents_of(url).migrations == contents_of(postgres).migrations


async def test_a_newer_version_of_the_tables_is_refused_by_everything(older, upgrading, commands, tmp_path):
    url = older(len(OURS))
    with psycopg.connect(url) as connection:
        connection.execute(
            "insert into _yoyo_migration (migration_hash, migration_id) values ('x', '0999.of_tomorrow')"
        )
    before = contents_of(url)
    upgrading(url)
    made = await commands.run("database", "backup", str(tmp_path / "newer.backup"))
    assert made.code == 0
    newer = ["database", "restore", str(tmp_path / "newer.backup")]
    for command in (["status"], ["submit", "new.mp4"], ["worker"], ["database", "upgrade"], [*newer, "--yes"]):
        refused = await commands.run(*command)
        assert refused.code == 3, command
        assert "those of a newer version of the orchestrator (migration 0999.of_tomorrow)" in refused.err
    assert before.differences(contents_of(url)) == []


async def test_an_upgrade_that_fails_leaves_the_database_as_it_was(older, upgrading, commands):
    """Something else made a table that a migration is to make, two migrations later."""
    url = older(5)
    with psycopg.connect(url) as connection:
        connection.execute("create table peaks (mine text); insert into peaks values ('precious')")
    before = contents_of(url)
    upgrading(url)
    failed = await commands.run("database", "upgrade")
    assert failed.code == 1
    assert 'relation "peaks" already exists' in failed.err
    assert "; the database is as it was before, restored from " in failed.err
    assert before.differences(contents_of(url)) == []


async def test_an_upgrade_waits_for_no_service_and_touches_nothing(older, upgrading, commands, tmp_path):
    url = older(5)
    upgrading(url)
    with psycopg.connect(url, application_name="reelscribe"):
        refused = await commands.run("database", "upgrade")
    assert (refused.code, "is in use (reelscribe on " in refused.err) == (1, True)
    assert list(tmp_path.glob("*.backup")) == []


def test_a_full_disk_during_an_upgrade_loses_nothing(older, data_dir, tmp_path, monkeypatch):
    """It is looked at before; and if it fills up later, the backup is there, and the data too."""
    made = tmp_path / "older.backup"
    make_backup(Target(older(5), None), made, "", False, nothing)
    disk = data_dir.parent
    disk.mkdir()
    with small_disk(disk, 180), embedded.running(data_dir) as url:
        target = Target(url, data_dir)
        restoring.replace_with(target, Backup(made), nothing)
        before = contents_of(url)
        ballast = fill(disk, but=100_000)
        with pytest.raises(NotWritten) as full:
            upgrade(target, tmp_path / "1.backup", "", nothing)
        assert "MiB of room" in full.value.message
        assert before.differences(contents_of(url)) == []
        monkeypatch.setattr(restoring, "require_room", nothing)
        with pytest.raises(UpgradeFailed) as failed:
            upgrade(target, tmp_path / "2.backup", "", nothing)
        assert "No space left on device" in failed.value.message
        assert f"it is in {tmp_path}/2.backup" in failed.value.message
        assert texts(url) == [("old.mp4", "A happy horse.")] * 2
        assert before.differences(Backup(tmp_path / "2.backup").manifest.contents) == []
        ballast.unlink()
        assert upgrade(target, tmp_path / "3.backup", "", nothing)
        assert texts(url) == [("old.mp4", "A happy horse.")] * 2


async def test_kill_9_during_an_upgrade_loses_nothing(older, upgrading, commands):
    url = older(5)
    with psycopg.connect(url) as connection:
        connection.execute(BLOCK_CHANGES)
    upgrade = await upgrading(url).start("database", "upgrade")
    await sessions(Target(url, None), "wait_event = 'PgSleep'")
    await killed(upgrade)
    with psycopg.connect(url) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and wait_event = 'PgSleep'"
        )
        connection.execute("drop event trigger block_changes; drop function block_changes")
    await no_sessions(Target(url, None))
    assert 5 < len([name for name in contents_of(url).migrations if re.match(r"\d{4}\.", name)]) < len(OURS)
    assert texts(url) == [("old.mp4", "A happy horse.")] * 2
    again = await commands.run("database", "upgrade")
    assert (again.code, again.err) == (0, "")
    assert texts(url) == [("old.mp4", "A happy horse.")] * 2
