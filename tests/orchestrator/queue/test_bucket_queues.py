"""Jobs of buckets that one worker skips: it takes the others, and another worker takes all."""

import asyncio
import time
from typing import Any

import pytest

from orchestrator.database.sql import fetch_value
from orchestrator.jobs.models import TRANSCRIBE, Options
from orchestrator.queue import backlog, fetch, rules
from orchestrator.queue.bucket_queues import bucket_jobs, remove_empty
from tests.orchestrator.conftest import BUCKET
from tests.waiting import eventually

AWAY = [bucket_jobs(TRANSCRIBE, "away")]


@pytest.fixture
def take(pool, sql):
    """Take jobs as a worker does that skips these jobs, until there is none or enough; their savepaths."""

    async def take(away: list[str] = AWAY, most: int = 100) -> list[str]:
        [(worker,)] = await sql("insert into procrastinate_workers default values returning id")
        taken: list[Any] = []
        while len(taken) < most and (job := await fetch.take(pool, worker, [TRANSCRIBE], away=away)):
            taken.append(job.attempt.savepath)
        return taken

    return take


@pytest.fixture
def sort(pool):
    """Sort as a worker does that skips these jobs."""

    async def sort(away: list[str] = AWAY) -> None:
        await backlog.sort(pool, [TRANSCRIBE], asyncio.Event(), lambda: away)

    return sort


async def test_a_worker_skips_jobs_of_a_bucket_that_another_worker_takes(submit, take):
    for savepath, bucket in (("1", "away"), ("2", BUCKET), ("3", "away"), ("4", BUCKET)):
        await submit(savepath, bucket=bucket)
    assert await take(most=1) == ["2"]
    assert await take([], 2) == ["1", "3"]
    assert await take() == ["4"]


async def test_work_of_other_kinds_on_recordings_of_the_bucket_is_taken(submit, pool, sql):
    job = await submit("1", bucket="away")
    await sql("update procrastinate_jobs set task_name = 'store_result', queue_name = 'store_result'")
    [(worker,)] = await sql("insert into procrastinate_workers default values returning id")
    taken = await fetch.take(pool, worker, [TRANSCRIBE, "store_result"], away=AWAY)
    assert taken.entry["args"] == {"job": job.id}


async def test_jobs_that_wait_aside_are_taken_in_their_order_once_the_bucket_is_back(
    submissions, submit, take, sort, sql
):
    await submit("0")
    await submissions.submit("away", [f"{number:04}" for number in range(fetch.MOST_SKIPPED + 1)], Options())
    await submit("first")
    await submit("urgent", bucket="away", priority=1)
    await submit("second")
    assert await take() == ["0"], "the others are behind more than are skipped to find one"
    await sort()
    assert await take() == ["first", "second"]
    [(aside,)] = await sql("select count(*) from procrastinate_jobs where queue_name like %s", f"{TRANSCRIBE}/b%")
    assert aside == fetch.MOST_SKIPPED + 2
    await submit("third")
    assert await take([], 3) == ["urgent", "0000", "0001"]
    assert await take() == ["third"]


async def test_a_sub_queue_is_gone_when_nothing_is_left_in_it_and_nothing_can_come_back(submit, take, sort, sql):
    made = "select kind, bucket from bucket_queues"
    await submit("1", bucket="away")
    await sort()
    assert await sql(made) == [(TRANSCRIBE, "away")]
    await sort([])
    assert await sql(made), "one waits there"
    assert await take([]) == ["1"]
    await sort([])
    assert await sql(made), "it may come back"
    await sql("delete from procrastinate_jobs")
    await sort()
    assert await sql(made), "it is still away"
    await sort([])
    assert await sql(made) == []


async def test_pauses_hold_for_jobs_that_wait_aside(submit, take, sort, pool):
    for savepath in ("secret/1", "talk", "secret/2"):
        await submit(savepath, bucket="away")
    await sort()
    async with pool.connection() as connection:
        await rules.pause(connection, "secret/", "ann")
    assert await take([]) == ["talk"]
    await sort([])
    async with pool.connection() as connection:
        await rules.resume(connection, "secret/")
    assert await take() == []
    assert await take([]) == ["secret/1", "secret/2"]


async def test_jobs_that_were_brought_forward_and_are_away_now_keep_none_behind(
    submissions, submit, take, sort, sql, monkeypatch
):
    monkeypatch.setattr(backlog, "ENOUGH_FORWARD", 10)
    monkeypatch.setattr(backlog, "MOVING_SECONDS", 0)
    monkeypatch.setattr(backlog, "MOST_MOVED", 1)
    await submissions.submit("away", [f"{number:04}" for number in range(2 * fetch.MOST_SKIPPED)], Options())
    for number in range(20):
        await submit(f"other {number}", bucket="other")
    await submit("talk")
    both = [*AWAY, bucket_jobs(TRANSCRIBE, "other")]
    for away in (AWAY, both):
        sorting = asyncio.create_task(sort(away))
        await eventually(lambda: sql("select 1 from procrastinate_jobs where queue_name = %s", f"{TRANSCRIBE}/0"))
        if away == both:
            await eventually(lambda: take(both))
            [(left,)] = await sql("select count(*) from procrastinate_jobs where queue_name = %s", TRANSCRIBE)
            assert left > fetch.MOST_SKIPPED, "it was not found only because the others were moved aside"
        sorting.cancel()
        await asyncio.wait([sorting])


async def test_two_workers_that_skip_different_buckets_sort_to_an_end(submit, take, sort):
    other = [bucket_jobs(TRANSCRIBE, "other")]
    for number in range(20):
        await submit(f"{number}", bucket=("away", "other")[number % 2])
    for _ in range(3):
        async with asyncio.timeout(60):
            await asyncio.gather(sort(), sort(other))
    assert await take() == [f"{number}" for number in range(1, 20, 2)]
    assert await take(other) == [f"{number}" for number in range(0, 20, 2)]


MANY = 200_000
WITHIN_SECONDS = 5
"""To find two jobs behind so many, one after the other, takes half a second."""


async def test_a_job_behind_very_many_of_the_bucket_is_found_soon(submit, take, sort, sql):
    await sql(
        """
        insert into procrastinate_jobs (queue_name, task_name, args, savepath, bucket)
        select %s, %s, jsonb_build_object('job', -n), n::text, 'away' from generate_series(1, %s) n
        """,
        *(TRANSCRIBE, TRANSCRIBE, MANY),
    )
    await sql("analyze procrastinate_jobs")
    await submit("talk", priority=-1)
    assert await take() == []
    sorting = asyncio.create_task(sort())
    began = time.monotonic()
    while not await take():
        await asyncio.sleep(0.02)
    await submit("new talk", priority=-1)
    while not await take():
        await asyncio.sleep(0.02)
    assert time.monotonic() - began < WITHIN_SECONDS
    [(left,)] = await sql("select count(*) from procrastinate_jobs where queue_name = %s", TRANSCRIBE)
    assert left > MANY / 2, "they were not found only because the others were moved aside"
    sorting.cancel()
    await asyncio.wait([sorting])


async def test_no_look_for_empty_sub_queues_reads_the_whole_queue(submissions, submit, take, sort, pool, sql):
    await submissions.submit(BUCKET, [f"{number}" for number in range(5000)], Options())
    await submit("1", bucket="away", priority=1)
    await sort()
    await sql("analyze procrastinate_jobs")
    read = "select seq_scan from pg_stat_xact_user_tables where relname = 'procrastinate_jobs'"

    async def looks(left: bool) -> None:
        async with pool.connection() as connection:
            await remove_empty(connection, [TRANSCRIBE], [])
            assert await fetch_value(connection, read) == 0
        assert bool(await sql("select 1 from bucket_queues")) == left

    await looks(left=True)
    assert await take([], 1) == ["1"]
    await looks(left=True)
    await sql("delete from procrastinate_jobs where queue_name <> %s", TRANSCRIBE)
    await looks(left=False)


async def test_a_running_job_of_a_bucket_with_a_long_name_can_be_cancelled(submit, submissions, take, sort, job_in):
    away = [bucket_jobs(TRANSCRIBE, "b" * 200)]
    job = await submit("1", bucket="b" * 200)
    await sort(away)
    assert await take(away) == []
    assert await take([]) == ["1"]
    await submissions.cancel([job.id])
    await job_in(job.id, "cancelled")


async def test_an_entry_of_an_older_version_has_its_bucket(submit, sql, take):
    job = await submit("1", bucket="away")
    await sql("delete from procrastinate_jobs")
    await sql(
        """
        insert into procrastinate_jobs (id, queue_name, task_name, priority, args, savepath)
        select queue_job, kind, kind, priority, jsonb_build_object('job', id), '1' from jobs where id = %s
        """,
        job.id,
    )
    assert await take() == []
    assert await take([]) == ["1"]
