"""The rules of ``[retention]``: what they remove and what they keep, whatever happens meanwhile."""

import asyncio
import io
import json
import logging
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from minio import Minio

from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.pool import try_lock
from orchestrator.errors import SomethingLeft
from orchestrator.exports import retention as retention_module
from orchestrator.exports.deletion import TOGETHER, Deletions
from orchestrator.exports.result_bucket import StoredResults
from orchestrator.exports.retention import Removed, Retention
from orchestrator.intake.bucket import Objects
from orchestrator.intake.event_intake import EventIntake, RecordingFilter
from orchestrator.jobs.deletion import Deleted
from orchestrator.jobs.models import Options
from orchestrator.jobs.object_changes import Identity
from orchestrator.services.retention import apply_daily
from orchestrator.session import open_session
from reelscribe.errors import PeerUnreachable
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.loading import Settings
from reelscribe.settings.orchestrator import DatabaseSection
from reelscribe.settings.retention import RetentionRule, RetentionSection
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.exports.conftest import configure
from tests.s3_server import emptied, minio

DOCS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()


def rules(*lines: str):
    return RetentionSection.model_validate({"rules": "\n".join(lines)}).rules


def soon(prefix: str, with_recording: bool = False) -> RetentionRule:
    """A rule of which everything is expired."""
    return RetentionRule(prefix, timedelta(microseconds=1), with_recording, f"{prefix} = soon")


@pytest.fixture
def retain(pool, deletions):
    """Apply rules; what was removed."""

    async def apply(*given: str | RetentionRule, by: Deletions = deletions) -> Removed:
        total, wanted = Removed(), [rules(one)[0] if isinstance(one, str) else one for one in given]
        async for some in Retention(pool, by, wanted).run():
            total += some
        return total

    return apply


@pytest.fixture
def age(sql):
    """Make all that is known of a recording older; ``states``: only its jobs in these."""

    async def make(savepath: str, days: float, *states: str) -> None:
        condition, by = "media_id = (select id from media where savepath = %s)", f"- {days} * interval '1 day'"
        await sql(
            f"update jobs set created_at = created_at {by}, finished_at = finished_at {by} where {condition} "
            "and (state = any(%s) or cardinality(%s::text[]) = 0)",
            *(savepath, list(states), list(states)),
        )
        if not states:
            await sql(f"update media set created_at = created_at {by} where savepath = %s", savepath)
            await sql(f"update edits set made_at = made_at {by} where {condition}", savepath)

    return make


@pytest.fixture
def known(sql):
    async def find() -> list[str]:
        return [savepath for (savepath,) in await sql("select savepath from media order by 1")]

    return find


@pytest.fixture
def videos(s3_port) -> Minio:
    """The S3 server, with a bucket of recordings."""
    s3 = emptied(s3_port, BUCKET)
    for name in ("raw/a.mp4", "keep/a.mp4"):
        s3.put_object(bucket_name=BUCKET, object_name=name, data=io.BytesIO(b"video"), length=5)
    return s3


def in_bucket(s3: Minio, bucket: str = BUCKET) -> list[str | None]:
    return sorted(found.object_name for found in s3.list_objects(bucket_name=bucket, recursive=True))


async def test_the_longest_prefix_decides_and_what_has_no_rule_is_kept(store_transcript, age, retain, known):
    for savepath in ("raw/a.mp4", "raw/talks/a.mp4", "raw/talks/2019/a.mp4", "other.mp4", "raw/new.mp4"):
        await store_transcript(savepath, "hello")
        await age(savepath, 10 if "new" in savepath else 100)
    removed = await retain("raw/ = 90 days", "raw/talks/ = forever", "raw/talks/2019/ = 12 weeks")
    assert removed.deleted == Deleted(savepaths=2, jobs=2, transcripts=2)
    assert await known() == ["other.mp4", "raw/new.mp4", "raw/talks/a.mp4"]
    assert (await retain("* = 1 hour", "raw/ = forever")).deleted.savepaths == 1
    assert await known() == ["raw/new.mp4", "raw/talks/a.mp4"]
    assert await retain() == Removed()


async def test_nothing_of_it_is_left_in_any_table_nor_in_the_bucket(
    storing, stored, store_transcript, submit, age, retain, traces, ids_of, names, sql
):
    for savepath in ("raw/a.mp4", "keep/a.mp4"):
        await store_transcript(savepath, "hello", "world")
        await store_transcript(savepath, "hello", "again", force=True)
    await stored(2)
    [(media,)] = await sql("select id from media where savepath = 'raw/a.mp4'")
    await sql("insert into edits (media_id, revision, author, title) values (%s, 1, 'ann', 'A talk')", media)
    await age("raw/a.mp4", 91)
    await age("keep/a.mp4", 91)
    ids = await ids_of("raw/a.mp4")
    removed = await retain("raw/ = 90 days")
    assert removed == Removed(Deleted(savepaths=1, jobs=3, transcripts=2, results=2, edits=1))
    assert await traces("raw/a.mp4", ids) == {}
    assert names() == ["keep/a.en.srt", "keep/a.mp4.json"]


async def test_what_was_edited_or_is_at_work_again_is_kept(store_transcript, submit, age, retain, known, sql):
    for savepath in ("edited.mp4", "again.mp4", "old.mp4"):
        await store_transcript(savepath, "hello")
        await age(savepath, 100)
    await sql(
        "insert into edits (media_id, revision, author, title, made_at) "
        "select id, 1, 'ann', 'A talk', now() - interval '20 days' from media where savepath = 'edited.mp4'"
    )
    await submit("again.mp4", language="de")
    await age("again.mp4", 100)
    assert (await retain("* = 30 days")).deleted.savepaths == 1
    assert await known() == ["again.mp4", "edited.mp4"]


async def test_failed_and_cancelled_jobs_are_removed_also_of_recordings_that_stay(
    store_transcript, submit, submissions, age, retain, known, sql
):
    for savepath in ("given-up.mp4", "stays.mp4", "talks/a.mp4"):
        job = await submit(savepath, language="fr")
        await submissions.cancel([job.id])
        await age(savepath, 100)
    for savepath in ("stays.mp4", "talks/a.mp4"):
        await store_transcript(savepath, "hello")
    removed = await retain("* = 90 days", "talks/ = forever")
    assert removed.deleted == Deleted(savepaths=1, jobs=2)
    assert await known() == ["stays.mp4", "talks/a.mp4"]
    states = "select savepath, state from jobs j join media m on m.id = media_id order by 1, 2"
    assert await sql(states) == [("stays.mp4", "done"), ("talks/a.mp4", "cancelled"), ("talks/a.mp4", "done")]


async def test_the_recording_itself_is_removed_only_by_a_rule_that_says_so(videos, store_transcript, retain, known):
    for savepath in ("raw/a.mp4", "raw/gone.mp4", "keep/a.mp4"):
        await store_transcript(savepath, "hello")
    removed = await retain(soon("keep/"), soon("raw/", with_recording=True))
    assert (removed.deleted.savepaths, removed.recordings, await known()) == (3, 2, [])
    assert in_bucket(videos) == ["keep/a.mp4"]


async def test_a_recording_that_was_replaced_since_stays_with_all_that_is_known_of_it(
    videos, store_transcript, age, retain, known
):
    await store_transcript("raw/a.mp4", "hello")
    await age("raw/a.mp4", 91)  # the object is newer
    assert await retain("raw/ = 90 days, with recording") == Removed()
    assert await known() == ["raw/a.mp4"] and "raw/a.mp4" in in_bucket(videos)


async def test_a_recording_that_is_replaced_after_it_was_looked_at_stays_with_all_that_is_known_of_it(
    videos, storing, stored, store_transcript, retain, known, names, monkeypatch
):
    look = StoredResults.find

    def find_then_upload(self, bucket, names):
        found = look(self, bucket, names)
        monkeypatch.setattr(StoredResults, "find", look)
        videos.put_object(bucket_name=BUCKET, object_name="raw/a.mp4", data=io.BytesIO(b"another"), length=7)
        return found

    await store_transcript("raw/a.mp4", "hello")
    await stored(1)
    monkeypatch.setattr(StoredResults, "find", find_then_upload)
    removed = await retain(soon("raw/", with_recording=True))
    assert (removed.kept, removed.deleted, await known()) == (1, Deleted(), ["raw/a.mp4"])
    assert (removed.reason or "").startswith("raw/a.mp4 in bucket videos was replaced at this moment")
    assert in_bucket(videos) == ["keep/a.mp4", "raw/a.mp4"] and names() == ["raw/a.en.srt", "raw/a.mp4.json"]


async def test_an_object_that_is_still_there_after_its_removal_keeps_the_rows_that_name_it(
    storing, stored, store_transcript, age, retain, known, names, monkeypatch
):
    await store_transcript("a.mp4", "hello")
    await stored(1)
    await age("a.mp4", 91)
    with monkeypatch.context() as patch:
        patch.setattr(StoredResults, "remove", lambda self, bucket, names: None)
        removed = await retain("* = 90 days")
    assert (removed.kept, removed.deleted, await known()) == (1, Deleted(), ["a.mp4"])
    assert "is still in bucket words" in (removed.reason or "")
    assert (await retain("* = 90 days")).deleted.results == 2
    assert names() == []


async def test_a_row_that_is_left_in_any_table_is_found(store_transcript, age, retain, sql):
    job = await store_transcript("a.mp4", "hello")
    await age("a.mp4", 91)
    await sql("create table notes (job_id bigint)")
    await sql("insert into notes values (%s)", job.id)
    with pytest.raises(SomethingLeft, match="left in notes"):
        await retain("* = 90 days")


async def test_a_bucket_that_is_away_keeps_all_and_one_that_refuses_only_what_is_in_it(
    storing, stored, store_transcript, age, retain, known, pool, queue, tmp_path, free_port, sql
):
    for savepath in ("a.mp4", "b.mp4", "c.mp4"):
        await store_transcript(savepath, "hello")
        await age(savepath, 91)
    await stored(3)
    with pytest.raises(PeerUnreachable):
        await retain("* = 90 days", by=Deletions(pool, queue, minio(tmp_path, free_port)))
    assert await known() == ["a.mp4", "b.mp4", "c.mp4"]
    await sql("update stored_results set bucket = 'No Bucket' where name = 'b.mp4.json'")  # no S3 has such a name
    removed = await retain("* = 90 days")
    assert (removed.deleted.savepaths, removed.kept, await known()) == (2, 1, ["b.mp4"])


async def test_many_recordings_are_looked_through_and_removed_a_few_at_a_time(
    submit, submissions, retain, known, sql, monkeypatch
):
    monkeypatch.setattr(retention_module, "PART", 30)
    await submissions.submit(BUCKET, [f"{number:03}.mp4" for number in range(130)], Options())
    year = "now() - interval '1 year'"
    await sql(f"update jobs set state = 'cancelled', created_at = {year}, finished_at = {year}")
    await sql(f"update media set created_at = {year} where savepath <> '077.mp4'")
    assert (await retain("* = 90 days")).deleted == Deleted(savepaths=130, jobs=130)


async def test_killed_in_the_middle_and_run_again_it_ends_right(
    orchestrator, commands, s3, s3_port, submissions, known, sql, tmp_path, names, database_url
):
    count = TOGETHER + 10
    await submissions.submit(BUCKET, [f"{number:03}.mp4" for number in range(count)], Options())
    year = "now() - interval '1 year'"
    await sql(f"update jobs set state = 'cancelled', created_at = {year}, finished_at = {year}")
    await sql(f"update media set created_at = {year}")
    await sql("insert into stored_results (media_id, bucket, name) select id, 'words', savepath || '.json' from media")
    for name in [f"{number:03}.mp4.json" for number in range(count)]:
        s3.put_object(bucket_name="words", object_name=name, data=io.BytesIO(b"{}"), length=2)
    configure(orchestrator.config, tmp_path, s3_port, "* = 90 days")
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("select from stored_results where name = '055.mp4.json' for update")
        run = await orchestrator.start("retention", "run", "--yes")
        async with asyncio.timeout(60):
            while names():  # those of the second transaction too, whose rows cannot be removed yet
                await asyncio.sleep(0.02)
        run.process.send_signal(signal.SIGKILL)
        await run.process.wait()
    assert len(await known()) == 10
    again = await commands.run("retention", "run", "--yes", "--json")
    assert (again.code, json.loads(again.out)) == (
        0,
        {**Deleted(savepaths=10, jobs=10, results=10).model_dump(), "recordings": 0, "kept": 0, "reason": None},
    )
    assert await known() == []


async def test_the_plan_says_what_a_run_removes_and_changes_nothing(
    commands, tmp_path, s3_port, store_transcript, submit, submissions, age, known
):
    configure(commands.config, tmp_path, s3_port, "raw/ = 90 days\n    talks/ = forever")
    for savepath, days in (
        ("raw/a.mp4", 200),
        ("raw/b.mp4", 100),
        ("raw/c.mp4", 1),
        ("talks/a.mp4", 300),
        ("x.mp4", 9),
    ):
        await store_transcript(savepath, "hello")
        await age(savepath, days)
    await submissions.cancel([(await submit("raw/c.mp4", language="fr")).id])
    await age("raw/c.mp4", 100, "cancelled")
    shown = await commands.run("retention", "plan", "--json")
    [raw, talks, others] = json.loads(shown.out)
    assert (raw["rule"], raw["recordings"], raw["given_up"], raw["oldest"]) == ("raw/ = 90 days", 3, 1, "raw/a.mp4")
    assert raw["expired"] == Deleted(savepaths=2, jobs=2, transcripts=2).model_dump()
    assert (talks["prefix"], talks["recordings"], talks["expired"]["savepaths"], talks["oldest"]) == (
        "talks/",
        1,
        0,
        None,
    )
    assert (others["rule"], others["recordings"]) == (None, 1)
    table = (await commands.run("retention", "plan")).out
    assert "would remove 2 transcripts, 3 jobs of 2 savepaths\n" in table and "the oldest: raw/a.mp4" in table
    asked = await commands.run("retention", "run")
    assert (asked.code, "give --yes" in asked.err) == (2, True)
    assert len(await known()) == 5
    removed = await commands.run("retention", "run", "--yes")
    assert (removed.code, removed.out) == (0, "removed 2 transcripts, 3 jobs of 2 savepaths\n")
    assert (await commands.run("retention", "run", "--yes")).out == "removed nothing\n"
    assert await known() == ["raw/c.mp4", "talks/a.mp4", "x.mp4"]


async def test_the_rules_and_commands_of_the_documentation_work(
    commands, store_transcript, age, submissions, submit, known
):
    """The page shows what the commands print, but for the time at which its example was used."""
    section = DOCS.partition("## Retention")[2].partition("\n## ")[0]
    [settings] = re.findall(r"```ini\n(.*?)```", section, re.DOTALL)
    commands.config.write_text(commands.config.read_text() + settings)
    ages = {"raw/2019/a.mp4": 120, "raw/b.mp4": 100, "raw/c.mp4": 1, "talks/a.mp4": 900, "x.mp4": 9, "y.mp4": 1}
    for savepath, days in ages.items():
        await store_transcript(savepath, "hello")
        await age(savepath, days)
    await submissions.cancel([(await submit("raw/c.mp4", language="fr")).id])
    await age("raw/c.mp4", 100, "cancelled")
    [shown] = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    for command, output in re.findall(r"\$ orchestrator (.*)\n((?:[^$].*\n)+)", shown):
        printed = await commands.run(*command.split())
        used = r"last used [\d: -]+"
        assert (printed.code, re.sub(used, "", printed.out)) == (0, re.sub(used, "", output))
    assert await known() == ["raw/c.mp4", "talks/a.mp4", "x.mp4", "y.mp4"]


async def test_without_rules_everything_is_kept_and_two_runs_at_the_same_time_are_one(
    commands, tmp_path, s3_port, store_transcript, age, known, pool
):
    await store_transcript("a.mp4", "hello")
    await age("a.mp4", 9999)
    nothing = await commands.run("retention", "run", "--yes")
    assert (nothing.code, "no rules" in nothing.err, await known()) == (1, True, ["a.mp4"])
    configure(commands.config, tmp_path, s3_port, "* = 90 days")
    async with try_lock(pool, AdvisoryLock.RETENTION):
        busy = await commands.run("retention", "run", "--yes")
    assert (busy.code, "another process" in busy.err, await known()) == (1, True, ["a.mp4"])


async def test_the_rules_are_applied_at_their_time_and_what_was_removed_is_logged(
    database_url, store_transcript, age, known, caplog
):
    caplog.set_level(logging.INFO)
    await store_transcript("raw/a.mp4", "hello")
    await age("raw/a.mp4", 91)
    section = RetentionSection.model_validate({"rules": "raw/ = 90 days", "daily_at": "03:30"})
    settings = Settings(retention=section, database=DatabaseSection(url=database_url))
    begin = datetime(2026, 3, 1, 3, 29, 59, 900_000).astimezone()
    started: list[float] = []

    def clock() -> datetime:
        """From when it is first asked, however long the host has taken until then."""
        now = asyncio.get_running_loop().time()
        started.append(now)
        return begin + timedelta(seconds=now - started[0])

    async with open_session(settings) as session:
        task = asyncio.create_task(apply_daily(session, clock))
        async with asyncio.timeout(60):
            while "retention: removed 1 savepaths, 1 jobs, 1 transcripts; 0 recording" not in caplog.text:
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task])
    assert "retention: removed raw/a.mp4 of bucket videos, last used" in caplog.text
    assert await known() == []


async def test_a_worker_says_when_it_will_apply_them(orchestrator, tmp_path, s3_port):
    configure(orchestrator.config, tmp_path, s3_port, "raw/ = 90 days\ndaily_at = 03:30")
    worker = await orchestrator.start("worker")
    await worker.says("retention: rules are applied daily at 03:30")
    assert (await worker.ends(signal.SIGTERM)).code == 0


async def test_what_expired_is_not_submitted_again_by_itself_but_a_person_can(pool, submissions, known):
    """Else a recording that is still in the bucket would be transcribed again after each removal."""
    objects = Objects("http://127.0.0.1:9", Tokens(), BUCKET)
    section = RetentionSection.model_validate({"rules": "raw/ = 90 days"})
    intake = EventIntake(pool, submissions, RecordingFilter(Settings(retention=section)), objects)
    now = datetime.now(UTC)
    old, new = Identity("e", 1, now - timedelta(days=91)), Identity("e", 1, now - timedelta(days=89))
    outcomes = await intake.take(BUCKET, {"raw/old.mp4": old, "raw/new.mp4": new, "talks/old.mp4": old})
    assert (outcomes["new"], outcomes["ignored"]) == (2, 1)
    assert await known() == ["raw/new.mp4", "talks/old.mp4"]
    await submissions.submit(BUCKET, ["raw/old.mp4"], Options())
    assert "raw/old.mp4" in await known()
