"""Which job comes next: priorities, pauses, and limits of prefixes that block no other."""

import asyncio
import time
from typing import Any

import pytest

from orchestrator.jobs.models import TRANSCRIBE, Options
from orchestrator.queue import fetch, rules
from orchestrator.worker import worker
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.scripted import falls_silent_after, transcribes
from tests.waiting import eventually


@pytest.fixture
def rule(pool):
    """Do something to the rules: pause, resume, limit."""

    async def change(what, *arguments):
        async with pool.connection() as connection:
            return await what(connection, *arguments)

    return change


@pytest.fixture
def take(pool, sql):
    """Take jobs as a worker does, until none may start or there are enough; their savepaths in that order."""

    async def take(most: int = 100) -> list[str]:
        [(worker,)] = await sql("insert into procrastinate_workers default values returning id")
        taken: list[Any] = []
        while len(taken) < most and (job := await fetch.take(pool, worker, [TRANSCRIBE])):
            [(savepath,)] = await sql(
                "select savepath from transcriptions t join media m on m.id = t.media_id where t.id = %s",
                job.entry["args"]["job"],
            )
            taken.append(savepath)
        return taken

    return take


async def test_priority_then_order_of_submission(submit, take):
    for savepath, priority in (("low", -1), ("first", 0), ("urgent", 5), ("second", 0)):
        await submit(savepath, priority=priority)
    assert await take() == ["urgent", "first", "second", "low"]


async def test_a_job_that_is_tried_again_keeps_its_position(submit, take, queue, pool, sql):
    first = await submit("first")
    await submit("second")
    async with pool.connection() as connection:
        await queue.put(connection, [first.id])
    assert await take(1) == ["first"]


async def test_a_limited_prefix_blocks_nothing_but_itself(submit, take, rule):
    for savepath in ("archive/1", "archive/2", "archive/3", "talk/1", "talk/2"):
        await submit(savepath, priority=5 if "archive" in savepath else 0)
    await rule(rules.limit, "archive/", 1)
    assert await take() == ["archive/1", "talk/1", "talk/2"]


async def test_a_limit_counts_what_was_running_before_it_was_set(submit, take, rule):
    await submit("archive/1")
    assert await take() == ["archive/1"]
    await rule(rules.limit, "archive/", 1)
    await submit("archive/2")
    assert await take() == []
    assert await rule(rules.remove_limit, "archive/")
    assert await take() == ["archive/2"]


async def test_a_limit_within_a_limit_counts_for_both(submit, take, rule):
    for savepath in ("a/b/1", "a/b/2", "a/1", "a/2", "c"):
        await submit(savepath)
    await rule(rules.limit, "a/", 2)
    await rule(rules.limit, "a/b/", 1)
    assert await take() == ["a/b/1", "a/1", "c"]


async def test_many_jobs_of_a_closed_prefix_cost_nothing_once_they_are_moved_aside(
    submissions, sql, submit, take, rule
):
    await submissions.submit(BUCKET, [f"archive/{number}" for number in range(3000)], Options())
    await rule(rules.pause, "archive/", "me")
    await submit("talk")
    assert await take() == ["talk"]
    seconds = []
    for number in range(3):
        await submit(f"talk {number}")
        began = time.monotonic()
        assert await take() == [f"talk {number}"]
        seconds.append(time.monotonic() - began)
    assert min(seconds) < 0.5
    await rule(rules.resume, "archive/")
    assert await take(2) == ["archive/0", "archive/1"]


@pytest.fixture
async def behind_many(submissions, submit, rule, queue):
    """Two jobs behind more paused ones than are skipped to find a job."""
    queue.take_kinds({TRANSCRIBE: lambda: 4})
    await submissions.submit(BUCKET, [f"archive/{number:04}" for number in range(fetch.MOST_SKIPPED + 1)], Options())
    await submit("talk")
    await submit("late talk", priority=-1)
    await rule(rules.pause, "archive/", "me")


async def test_a_job_behind_more_than_are_skipped_is_brought_forward(behind_many, submit, take, queue):
    assert await take() == []
    await queue.sort()
    await submit("new talk")
    assert await take() == ["talk", "new talk", "late talk"]


async def test_workers_bring_jobs_forward_by_themselves(behind_many, working, job_in, sql):
    [(last,)] = await sql("select max(id) from transcriptions")
    async with working():
        await job_in(last, "done")


MANY = 200_000
WITHIN_SECONDS = 5
"""To find two jobs behind so many, one after the other, takes half a second."""


async def test_jobs_behind_very_many_paused_ones_are_taken_soon(submit, working, job_in, rule, sql):
    await sql(
        """
        insert into procrastinate_jobs (queue_name, task_name, args, savepath)
        select %s, %s, jsonb_build_object('job', -n), 'archive/' || n from generate_series(1, %s) n
        """,
        *(TRANSCRIBE, TRANSCRIBE, MANY),
    )
    await sql("analyze procrastinate_jobs")
    await rule(rules.pause, "archive/", "me")
    behind = await submit("talk", priority=-1)
    async with working():
        began = time.monotonic()
        await job_in(behind.id, "done")
        late = await submit("new talk", priority=-1)
        await job_in(late.id, "done")
        assert time.monotonic() - began < WITHIN_SECONDS
        [(left,)] = await sql("select count(*) from procrastinate_jobs where queue_name = %s", TRANSCRIBE)
        assert left > MANY / 2, "they were not found only because the others were moved aside"


async def test_what_was_moved_aside_keeps_its_order(behind_many, take, queue, rule):
    await queue.sort()
    await rule(rules.resume, "archive/")
    assert await take(3) == ["archive/0000", "archive/0001", "archive/0002"]


async def test_what_is_queued_under_a_rule_is_in_its_sub_queue_immediately(submit, rule, sql):
    await rule(rules.pause, "a/", "me")
    await rule(rules.limit, "a/b/", 1)
    for savepath in ("talk", "a/1", "a/b/1"):
        await submit(savepath)
    rows = await sql(
        "select queue_name, coalesce(prefix, '') from procrastinate_jobs left join queue_rules r"
        " on queue_name = %s || r.id order by procrastinate_jobs.id",
        f"{TRANSCRIBE}/",
    )
    assert [prefix for _, prefix in rows] == ["", "a/", "a/b/"]


async def test_a_try_that_a_clock_has_put_too_far_off_is_due(submit, take, sql):
    for savepath, ahead in (("far", "1 hour"), ("near", "5 minutes")):
        await submit(savepath)
        await sql(f"update procrastinate_jobs set scheduled_at = now() + interval '{ahead}' where scheduled_at is null")
    assert await take() == ["far"]


async def test_workers_that_count_concurrently_keep_a_limit(submit, take, rule):
    for number in range(12):
        await submit(f"archive/{number}")
    await rule(rules.limit, "archive/", 3)
    taken = await asyncio.gather(*(take() for _ in range(4)))
    assert sum(map(len, taken)) == 3


async def test_a_pause_lets_running_jobs_finish_and_starts_no_other(submit, working, job_in, transcriber, rule):
    async def slow(b):
        await asyncio.sleep(0.5)
        await transcribes()(b)

    transcriber.scripts = [slow, transcribes()]
    running = await submit("running.mp4")
    async with working():
        await job_in(running.id, "running")
        await rule(rules.pause, "", "me")
        waiting = await submit("waiting.mp4")
        await job_in(running.id, "done")
        await asyncio.sleep(2 * worker.POLL_SECONDS)
        assert (await job_in(waiting.id, "queued")).attempt == 0


async def test_resuming_wakes_the_workers(notified, submit, working, job_in, rule):
    await rule(rules.pause, "", "me")
    waiting = await submit("waiting.mp4")
    async with working():
        await notified()
        await rule(rules.resume, "")
        await job_in(waiting.id, "done")


async def test_a_slot_that_gets_free_under_a_limit_is_taken_immediately(notified, submit, working, job_in, rule):
    await rule(rules.limit, "archive/", 1)
    jobs = [await submit(f"archive/{number}") for number in range(5)]
    async with working():
        await job_in(jobs[-1].id, "done")


async def test_a_pause_that_is_repeated_stays_as_it_was(rule, sql):
    await rule(rules.pause, "", "first")
    await rule(rules.pause, "", "second")
    assert await sql("select paused_by from queue_rules") == [("first",)]


async def test_a_cancelled_job_of_a_limited_prefix_is_stopped(
    notified, submit, working, job_in, transcriber, rule, submissions
):
    """Its notification comes on another channel than that of the default sub-queue."""
    transcriber.scripts = [falls_silent_after(1)]
    await rule(rules.limit, "archive/", 1)
    job = await submit("archive/1")
    async with working(progress_timeout=600):
        await eventually(lambda: transcriber.requests)
        await submissions.cancel([job.id])
        await asyncio.wait_for(transcriber.left.wait(), 60)


async def test_the_commands_print_the_rules(orchestrator):
    limited = await orchestrator.run("limit", "1", "--prefix", "archive/")
    assert limited.out == "archive/ is limited to 1 at the same time, 0 running\n"
    paused = await orchestrator.run("pause")
    assert "the queue is paused since 20" in paused.out
    assert "; continue with:\n  orchestrator resume\n" in (await orchestrator.run("status")).out
    assert "the queue is paused since 20" in (await orchestrator.run("submit", "a.mp4")).err
    resumed = await orchestrator.run("resume")
    assert "paused" not in resumed.out
    assert (await orchestrator.run("resume")).code == 1
    assert (await orchestrator.run("limit", "--prefix", "archive/")).code == 2
    assert (await orchestrator.run("limit", "--none", "--prefix", "archive/", "--json")).out == "[]\n"
    again = await orchestrator.run("limit", "--none", "--prefix", "archive/", "--json")
    assert (again.code, again.out, again.err) == (1, "[]\n", "archive/ was not limited\n")


async def test_a_submission_reports_the_pauses_that_block_it(orchestrator, rule):
    await rule(rules.pause, "old talks/", "ann@host-a")
    held = await orchestrator.run("submit", "old talks/a.mp4")
    assert "continue with:\n  orchestrator resume --prefix 'old talks/'\n" in held.err
    assert "paused" not in (await orchestrator.run("submit", "talks/a.mp4")).err


@pytest.mark.parametrize("command", ["pause", "limit 2", "vocabulary set Ilse", "vocabulary add Ilse"])
async def test_a_prefix_that_no_savepath_starts_with_is_refused(command, commands, sql):
    for prefix, reason in (("/talks/", "must not start with '/'"), ("talks//a", "must not contain '//'")):
        refused = await commands.run(*command.split(), "--prefix", prefix)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.startswith(f"--prefix: no savepath starts with {prefix!r}, which {reason}")
    assert await sql("select prefix from queue_rules union select prefix from vocabularies") == []


async def test_what_an_earlier_version_made_for_such_a_prefix_can_be_removed(commands, sql):
    await sql("insert into queue_rules (prefix, max_running, paused_at, paused_by) values ('/a', 1, now(), 'ann')")
    await sql("insert into vocabularies (prefix, words, changed_by) values ('/a', array['Ilse'], 'ann')")
    for command in ("resume", "limit --none", "vocabulary remove"):
        assert (await commands.run(*command.split(), "--prefix", "/a")).code == 0
