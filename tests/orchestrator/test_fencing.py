"""Whatever becomes of a worker, an attempt that is over writes nothing."""

import asyncio

import pytest

from machine.errors import StreamCut
from orchestrator.attempts import Attempt, Attempts
from orchestrator.errors import Superseded
from orchestrator.queue import STALLED_SECONDS
from tests.orchestrator.conftest import MAX_ATTEMPTS
from tests.orchestrator.scripted import LONG, falls_silent_after, finished, started, transcribes, window


@pytest.fixture
def attempts(pool, queue) -> Attempts:
    return Attempts(pool, queue)


@pytest.fixture
def begin(attempts, sql):
    """Begin an attempt as the worker does that has taken the job out of the queue."""

    async def begin(id: int) -> Attempt | None:
        [(queue_job,)] = await sql("select queue_job from transcriptions where id = %s", id)
        await sql("update procrastinate_jobs set status = 'doing' where id = %s", queue_job)
        return await attempts.begin(queue_job, id)

    return begin


async def contents(sql) -> list[object]:
    return [
        await sql("select state, attempt, failures, progress_seconds, error_message, complete from transcriptions"),
        await sql("select * from segments"),
        await sql("select * from attempts"),
        await sql("select id, status from procrastinate_jobs"),
    ]


segments = window(0)[:2]
writes = {
    "started": lambda attempts, old: attempts.started(old, "http://b", started(LONG)),
    "progress": lambda attempts, old: attempts.progress(old, segments, 10.0),
    "finished": lambda attempts, old: attempts.finished(old, segments, finished(LONG)),
    "waiting": lambda attempts, old: attempts.waiting(old, StreamCut("cut")),
    "try_again": lambda attempts, old: attempts.try_again(old, StreamCut("cut"), 0),
    "fail": lambda attempts, old: attempts.fail(old, StreamCut("cut")),
    "start_over": lambda attempts, old: attempts.start_over(old),
    "hand_back": lambda attempts, old: attempts.hand_back(old),
}


@pytest.mark.parametrize("write", writes)
async def test_no_write_of_an_older_attempt_changes_anything(write, submit, attempts, begin, sql):
    old = await begin((await submit()).id)
    new = await begin(old.id)
    await attempts.started(new, "http://b", started(LONG))
    await attempts.progress(new, segments, 10.0)
    before = await contents(sql)
    with pytest.raises(Superseded):
        await writes[write](attempts, old)
    assert await contents(sql) == before


async def test_an_older_attempt_cannot_write_after_cancel(submit, attempts, begin, desk, sql):
    attempt = await begin((await submit()).id)
    await desk.cancel([attempt.id])
    with pytest.raises(Superseded):
        await attempts.finished(attempt, segments, finished(LONG))
    assert await sql("select state from transcriptions") == [("cancelled",)]


async def test_only_the_queue_job_that_the_transcription_names_begins_an_attempt(submit, attempts, sql):
    job = await submit()
    [(queue_job,)] = await sql("select queue_job from transcriptions")
    assert await attempts.begin(queue_job + 1, job.id) is None
    assert (await attempts.begin(queue_job, job.id)).number == 1


async def test_a_finished_job_is_not_begun_again(submit, attempts, begin):
    attempt = await begin((await submit()).id)
    await attempts.started(attempt, "http://b", started(LONG))
    await attempts.finished(attempt, segments, finished(LONG))
    assert await begin(attempt.id) is None


async def test_segments_and_progress_are_one_transaction(submit, attempts, begin, sql):
    attempt = await begin((await submit()).id)
    await attempts.progress(attempt, segments, 10.0)
    attempt.segments = 0  # makes the next insert collide
    with pytest.raises(Exception, match="duplicate key"):
        await attempts.progress(attempt, segments, 20.0)
    assert await sql("select progress_seconds from transcriptions") == [(10.0,)]


async def lose_worker(sql) -> None:
    """The worker's last sign of life was too long ago."""
    await sql(
        "update procrastinate_workers set last_heartbeat = now() - make_interval(secs => %s)", STALLED_SECONDS + 1
    )


@pytest.fixture
async def stalled(submit, attempts, sql):
    """A job that runs at a worker which then shows no heartbeat any more."""
    job = await submit()
    await sql("insert into procrastinate_workers default values")
    await sql("update procrastinate_jobs set status = 'doing', worker_id = (select id from procrastinate_workers)")
    [(queue_job,)] = await sql("select queue_job from transcriptions")
    attempt = await attempts.begin(queue_job, job.id)
    await attempts.started(attempt, "http://b", started(LONG))
    await attempts.progress(attempt, segments, 10.0)
    await lose_worker(sql)
    return attempt


async def test_a_stalled_job_is_queued_again_where_it_stopped(stalled, queue, sql):
    assert await queue.sweep(MAX_ATTEMPTS) == [stalled.id]
    assert await sql("select state, failures, progress_seconds from transcriptions") == [("queued", 1, 10.0)]
    assert await sql("select status from procrastinate_jobs") == [("todo",)]


async def test_a_live_worker_keeps_its_job(stalled, queue, sql):
    await sql("update procrastinate_workers set last_heartbeat = now()")
    assert await queue.sweep(MAX_ATTEMPTS) == []


async def test_the_worker_that_was_thought_dead_writes_nothing_more(stalled, queue, attempts):
    await queue.sweep(MAX_ATTEMPTS)
    with pytest.raises(Superseded):
        await attempts.finished(stalled, [], finished(LONG))


async def test_a_job_that_loses_every_worker_is_failed(stalled, queue, sql):
    await sql("update transcriptions set failures = %s", MAX_ATTEMPTS - 1)
    await queue.sweep(MAX_ATTEMPTS)
    assert await sql("select state, error_code from transcriptions") == [("failed", "worker_lost")]
    assert await sql("select count(*) from procrastinate_jobs") == [(0,)]


async def test_a_running_job_without_a_queue_entry_is_found(stalled, queue, sql):
    await sql("delete from procrastinate_jobs")
    assert await queue.sweep(MAX_ATTEMPTS) == [stalled.id]


async def test_what_a_dead_worker_had_finished_leaves_the_queue(stalled, queue, attempts, sql):
    await attempts.finished(stalled, [], finished(LONG))
    assert await queue.sweep(MAX_ATTEMPTS) == []
    assert await sql("select count(*) from procrastinate_jobs") == [(0,)]
    assert await sql("select state from transcriptions") == [("done",)]


async def test_two_sweeps_at_once_queue_a_job_once(stalled, queue, sql):
    swept = await asyncio.gather(*(queue.sweep(MAX_ATTEMPTS) for _ in range(4)))
    assert sorted(swept) == [[], [], [], [stalled.id]]
    assert await sql("select count(*) from procrastinate_jobs") == [(1,)]


async def test_a_worker_that_returns_from_the_dead_leaves_its_successor_alone(
    submit, working, job_in, machine_b, queue, sql, pool
):
    """The first worker still listens to Machine B when a second one gets its job."""
    machine_b.scripts = [falls_silent_after(1), transcribes()]
    job = await submit()
    async with working(progress_timeout=2):
        while (await job_in(job.id, "running", "queued")).progress_seconds < 10:
            await asyncio.sleep(0.01)
        await lose_worker(sql)
        await queue.sweep(MAX_ATTEMPTS)
        done = await job_in(job.id, "done")
        await asyncio.sleep(2)  # the first worker gives up
    assert (done.attempt, done.failures) == (3, 1)
    assert await sql("select count(*), count(distinct text) from segments") == [(6, 6)]
    assert await sql("select count(*) from procrastinate_jobs") == [(0,)]
