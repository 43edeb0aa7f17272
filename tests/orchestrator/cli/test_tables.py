"""status, list and failed on a terminal of 80 columns; what status shows of which jobs; the list of transcripts."""

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from rich.console import Console

from orchestrator.cli.failed import _block
from orchestrator.cli.list_transcripts import rows
from orchestrator.cli.options import JobState
from orchestrator.cli.status import StatusView
from orchestrator.cli.tables import job_rows, without
from orchestrator.jobs import failures, stats
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import State
from orchestrator.jobs.stats import Overview, overview
from orchestrator.queue.rules import Rule
from orchestrator.transcripts.queries import ListQuery, listed
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.scripted import refuses

LONG = "conference-2026/day-2/main-hall/" + "keynote-on-reading-very-long-names-" * 2 + "part-1.mp4"
REASON = (
    "youtube/abc123.mp4: 1812.4 s are declared, 12.0 s were delivered: the file is cut or its header is wrong; "
    "replace it, or ask again with allow_incomplete"
)


def rendered(*what: object, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False, emoji=False)
    for each in what:
        console.print(each, crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def assert_readable(shown: str, *whole: str) -> None:
    """No line is wider than the terminal, and these words and names are on one line each."""
    for line in shown.splitlines():
        assert len(line) <= 80, line
        assert line == line.rstrip()
    for word in whole:
        assert word in shown, f"{word} is torn:\n{shown}"


@pytest.fixture
async def many(submit, store_transcript, sql):
    """Jobs in several states, with long names, two of one savepath, and a reason."""
    await store_transcript("youtube/abc123.mp4", "hello")
    await store_transcript(LONG, "hello")
    await submit("youtube/abc123.mp4", language="de", word_timestamps=True)
    await submit("talks/short.mp4")
    await sql(
        "update jobs set state = 'failed', error_code = 'incomplete_recording', error_message = %s, "
        "finished_at = now() where options <> '{}'",
        REASON,
    )
    await sql("update jobs set created_at = now() - %s, started_at = now() - %s", timedelta(days=9), timedelta(hours=3))
    await sql("update media set removed_at = now() where savepath = 'youtube/abc123.mp4'")


@pytest.fixture
def jobs(pool):
    async def read(**selected):
        async with pool.connection() as connection:
            return await job_queries.list_jobs(connection, **selected)

    return read


async def test_the_jobs_fit_80_columns_and_no_name_is_torn(many, jobs):
    shown = rendered(job_rows(await jobs()))
    assert_readable(
        shown, "youtube/abc123.mp4", "talks/short.mp4", "allow_incomplete", "conference-2026/day-2/main-hall/"
    )
    lines = shown.splitlines()
    assert lines[0].split() == ["ID", "STATE", "WHEN", "TRANSCRIBED", "SAVEPATH"]
    [short] = [line for line in lines if line.endswith("talks/short.mp4")]
    assert "for 9 days" in short
    assert "options: language = de, word_timestamps = true" in shown and "options: as by default" in shown
    assert "ago" in shown and "its recording is gone from the bucket since" in shown
    below = " ".join(shown[shown.index("options: language = de") :].split())
    assert " 1812.4 s are declared, 12.0 s were delivered: the file is cut" in below
    assert "abc123.mp4: 1812.4" not in below, "the savepath is not said again"


async def test_one_savepath_is_shown_with_its_times(many, commands):
    shown = (await commands.run("status", "youtube/abc123.mp4")).out
    assert len(re.findall(r"submitted \d{4}-\d\d-\d\d \d\d:\d\d, started .*, ended ", shown)) == 2


async def test_failures_and_transcripts_fit_80_columns_too(many, pool):
    async with pool.connection() as connection:
        [group] = await failures.groups(connection)
        found = await listed(connection, BUCKET, ListQuery())
    shown = rendered(_block(group, "--code incomplete_recording", 3), rows(found))
    accepting = "  orchestrator retry --code incomplete_recording --allow-incomplete\n"
    assert_readable(shown, "youtube/abc123.mp4", accepting, "conference-2026/day-2/main-hall/")


async def test_a_model_with_a_long_path_tears_no_row(store_transcript, sql, pool):
    await store_transcript("youtube/abc123.mp4", "hello")
    await store_transcript(LONG, "hello")
    widest = "m" * 90
    await sql("update jobs set model = '/srv/models/whisper-large-v3-turbo' where id = 1")
    await sql("update jobs set model = %s where id = 2", f"/srv/{widest}")
    async with pool.connection() as connection:
        shown = rendered(rows(await listed(connection, BUCKET, ListQuery())))
    assert_readable(shown, " whisper-large-v3-turbo  youtube/abc123.mp4")
    assert shown.splitlines()[0].endswith("SAVEPATH") and f"/srv/{widest}" in "".join(shown.split())


async def test_a_command_to_paste_is_not_broken():
    prefix = "conference 2026/day 2/" * 4
    rule = Rule(prefix=prefix, max_running=None, paused_at=datetime.now(UTC), paused_by="ann@host", running=0)
    view = StatusView([], None, 0, [rule], None, None, BUCKET)
    assert f"\n  orchestrator resume --prefix '{prefix}'\n" in rendered(view.tables())


async def test_two_jobs_of_one_savepath_can_be_distinguished(submit, sql, commands):
    await submit("youtube/abc123.mp4", language="de", word_timestamps=True)
    await submit("youtube/abc123.mp4")
    await sql("update jobs set state = 'failed', error_code = 'x', error_message = 'y', finished_at = now()")
    shown = (await commands.run("failed")).out
    assert "youtube/abc123.mp4, with language = de, word_timestamps = true\n" in shown
    assert "    youtube/abc123.mp4\n" in shown
    one = (await commands.run("status", "--state", "failed")).out
    assert "options: language = de, word_timestamps = true" in one and "as by default" in one
    first = (await commands.run("status", "--limit", "1")).out
    assert "options:" not in first, "its options are those by default"
    await sql("delete from jobs where options = '{}'")
    assert "options: language = de, word_timestamps = true" in (await commands.run("status")).out


async def test_status_is_filtered_by_state_and_prefix(many, commands):
    shown = json.loads((await commands.run("status", "--state", "done", "--json")).out)
    assert {job["savepath"] for job in shown["jobs"]} == {"youtube/abc123.mp4", LONG}
    shown = json.loads((await commands.run("status", "--prefix", "talks/", "--json")).out)
    assert ([job["savepath"] for job in shown["jobs"]], shown["totals"]) == (["talks/short.mp4"], {"queued": 1})
    assert "there is no such job" in (await commands.run("status", "--prefix", "no_such/")).out
    assert (await commands.run("status", "talks/short.mp4", "--state", "done")).code == 2
    assert [state.value for state in JobState] == list(get_args(State))


async def test_no_end_is_promised_while_no_transcriber_answers(submit, store_transcript, sql, pool, commands):
    await store_transcript("a.mp4", *["word"] * 30)
    await submit("b.mp4")
    async with pool.connection() as connection:
        assert (await overview(connection)).eta_seconds is not None
    reason = "the transcriber at http://gpu:8889 does not answer"
    await sql(
        "update jobs set state = 'waiting', error_code = 'no_transcriber', error_message = %s where state = 'queued'",
        reason,
    )
    await sql("insert into procrastinate_workers default values")
    async with pool.connection() as connection:
        now = await overview(connection)
    assert (now.eta_seconds, now.no_transcriber) == (None, reason)
    shown = (await commands.run("status")).out
    assert f"no transcriber takes a job now: {reason}" in shown
    assert "done in about" not in shown
    await sql("update jobs set state = 'running', error_code = null, error_message = null where state = 'waiting'")
    async with pool.connection() as connection:
        assert (await overview(connection)).eta_seconds is not None


async def test_what_is_paused_is_in_no_estimate(submit, store_transcript, sql, pool, commands):
    await store_transcript("a.mp4", *["word"] * 30)
    for savepath in ("talks/b.mp4", "talks/c.mp4", "radio/d.mp3", "radio/e.mp3"):
        await submit(savepath)
    await sql("insert into procrastinate_workers default values")

    async def now(**only: str) -> Overview:
        async with pool.connection() as connection:
            return await overview(connection, **only)

    before = await now()
    assert before.eta_seconds and before.paused.jobs == 0
    assert (await commands.run("pause", "--prefix", "talks/")).code == 0
    part = await now()
    assert part.eta_seconds == pytest.approx(before.eta_seconds / 2, rel=0.2)
    assert (part.paused.jobs, (await now(prefix="radio/")).paused.jobs) == (2, 0)
    assert (await now(prefix="talks/b")).all_paused
    assert "but for 2 paused jobs" in (await commands.run("status")).out
    for prefix in ("radio/", ""):
        assert (await commands.run("pause", "--prefix", prefix) if prefix else await commands.run("pause")).code == 0
        assert ((await now()).eta_seconds, (await now()).all_paused) == (None, True)
        shown = json.loads((await commands.run("status", "--json")).out)
        assert (shown["eta_seconds"], shown["paused"]["jobs"]) == (None, 4)
        status = (await commands.run("status")).out
        assert "1 worker; paused" in status and "done in about" not in status
    await sql("update jobs set state = 'running' where id = 2")
    assert ((await now()).paused.jobs, (await now()).eta_seconds is None) == (3, False)


async def test_of_many_jobs_about_so_many_are_paused(sql, pool, monkeypatch):
    monkeypatch.setattr(stats, "SAMPLE", 1000)
    await sql(
        """
        with added as (
            insert into media (bucket, savepath)
            select 'videos', case when mod(n, 4) = 0 then 'talks/' else 'radio/' end || n
            from generate_series(1, 4000) n
            returning id
        )
        insert into jobs (media_id, options, kind) select id, '{}', 'transcribe' from added returning id
        """
    )
    await sql("insert into queue_rules (prefix, paused_at, paused_by) values ('talks/', now(), 'me') returning prefix")
    async with pool.connection() as connection:
        assert (await overview(connection)).paused.jobs == pytest.approx(1000, abs=250)


async def test_a_bucket_that_is_away_is_named_and_no_transcriber_is_blamed(
    submit, store_transcript, sql, pool, commands
):
    await store_transcript("a.mp4", *["word"] * 30)
    for bucket in ("other", "videos"):
        await submit("b.mp4", bucket=bucket)
    reason = "bucket other is not there"
    await sql(
        """
        update jobs set state = 'waiting', error_code = 'bucket_unavailable', error_message = %s
        where state = 'queued' and media_id in (select id from media where bucket = 'other')
        """,
        reason,
    )
    await sql("insert into procrastinate_workers default values")
    async with pool.connection() as connection:
        now = await overview(connection)
        assert (now.eta_seconds, now.no_transcriber, now.buckets_away) == (None, None, {"other": reason})
        assert (await overview(connection, "videos")).buckets_away == {}
        assert (await overview(connection, prefix="c")).buckets_away == {}
    shown = (await commands.run("status")).out
    assert f"bucket other cannot be read now, so its jobs wait: {reason}" in " ".join(shown.split())
    assert "no transcriber" not in shown and "done in about" not in shown
    assert json.loads((await commands.run("status", "--json")).out)["buckets_away"] == {"other": reason}


async def test_transcripts_are_listed_in_pages(store_transcript, commands):
    for savepath, language in (("b/2.mp4", "de"), ("a/1.mp4", "en"), ("b/1.mp4", "en")):
        await store_transcript(savepath, "hello", language=language)
    await store_transcript("a/1.mp4", "newer", language="en", force=True)
    first = json.loads((await commands.run("list", "--limit", "2", "--json")).out)
    assert [each["savepath"] for each in first["transcripts"]] == ["a/1.mp4", "b/1.mp4"]
    assert {"job": 4, "language": "en", "seconds": 4.0, "model": "scripted"}.items() <= first["transcripts"][0].items()
    rest = json.loads((await commands.run("list", "--after", first["next"], "--json")).out)
    assert ([each["savepath"] for each in rest["transcripts"]], rest["next"]) == (["b/2.mp4"], None)
    german = json.loads((await commands.run("list", "--prefix", "b/", "--language", "de", "--json")).out)
    assert [each["savepath"] for each in german["transcripts"]] == ["b/2.mp4"]
    paged = await commands.run("list", "--limit", "1")
    assert "--after a/1.mp4" in paged.err and "LANGUAGE" in paged.out
    assert (await commands.run("list", "--prefix", "c/")).code == 1


@pytest.mark.parametrize(
    ("message", "shorter"),
    [
        ("a/b.mp4: 1 of 2 s", "1 of 2 s"),
        ("gave up after 5 attempts: a/b.mp4: cut", "gave up after 5 attempts: cut"),
        ("a/b.mp4 has no audio track", "it has no audio track"),
        ("there is no object a/b.mp4 in bucket videos", "there is no object a/b.mp4 in bucket videos"),
        ("gave up: a/b.mp4 has no audio track", "gave up: it has no audio track"),
        ("a/b.mp4.mp4 is another one", "a/b.mp4.mp4 is another one"),
    ],
)
def test_a_reason_does_not_repeat_the_savepath(message, shorter):
    assert without("a/b.mp4", message) == shorter


async def test_the_reason_of_a_failure_is_shown_once(commands, submit, working, transcriber, job_in):
    transcriber.scripts = [refuses(422, "no_audio_track", "talk.mp4 has no audio track", False)]
    async with working():
        await job_in((await submit()).id, "failed")
    assert "    it has no audio track\n" in (await commands.run("status")).out
