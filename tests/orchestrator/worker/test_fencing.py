"""Whatever happens to a worker, an attempt that is over writes nothing."""

import asyncio
from dataclasses import replace

import psycopg
import pytest
from procrastinate.jobs import Job as QueueJob
from procrastinate.jobs import Status

from orchestrator.errors import Superseded
from orchestrator.jobs import transitions
from orchestrator.jobs.attempts import Attempt
from orchestrator.jobs.models import TRANSCRIBE
from orchestrator.queue import fetch
from orchestrator.worker.progress import TranscriptionProgress
from orchestrator.worker.retry import ResumeFrom
from orchestrator.worker.stalled_jobs import Sweeper
from reelscribe.errors import StreamCut
from tests.orchestrator.conftest import MAX_ATTEMPTS
from tests.orchestrator.scripted import LONG, falls_silent_after, finished, started, window


@pytest.fixture
def progress(pool, queue) -> TranscriptionProgress:
    return TranscriptionProgress(pool, queue)


@pytest.fixture
def change(pool):
    """Call a function of transitions in a transaction of its own."""

    async def change(transition, *arguments):
        async with pool.connection() as connection:
            return await transition(connection, *arguments)

    return change


@pytest.fixture
def begin(change, sql):
    """Begin an attempt as the worker does that has taken the job out of the queue."""

    async def begin(id: int) -> Attempt | None:
        [(queue_job,)] = await sql("select queue_job from transcriptions where id = %s", id)
        await sql("update procrastinate_jobs set status = 'doing' where id = %s", queue_job)
        return await change(transitions.begin, queue_job, id)

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
    "start": lambda progress, change, old: progress.start(old, "http://b", started(LONG)),
    "store": lambda progress, change, old: progress.store(old, segments, 10.0),
    "finish": lambda progress, change, old: progress.finish(old, segments, finished(LONG)),
    "rewind": lambda progress, change, old: progress.rewind(old, ResumeFrom.START),
    "hand back": lambda progress, change, old: progress.hand_back(old),
    "wait": lambda progress, change, old: change(transitions.wait, old, StreamCut("cut")),
    "wait for retry": lambda progress, change, old: change(transitions.wait_for_retry, old, StreamCut("cut")),
    "fail": lambda progress, change, old: change(transitions.fail, old, StreamCut("cut")),
}


@pytest.mark.parametrize("write", writes)
async def test_no_write_of_an_older_attempt_changes_anything(write, submit, progress, change, begin, sql):
    old = await begin((await submit()).id)
    new = await begin(old.id)
    await progress.start(new, "http://b", started(LONG))
    await progress.store(new, segments, 10.0)
    before = await contents(sql)
    with pytest.raises(Superseded):
        await writes[write](progress, change, old)
    assert await contents(sql) == before


async def test_an_older_attempt_cannot_write_after_cancel(submit, progress, begin, submissions, sql):
    attempt = await begin((await submit()).id)
    await submissions.cancel([attempt.id])
    with pytest.raises(Superseded):
        await progress.finish(attempt, segments, finished(LONG))
    assert await sql("select state from transcriptions") == [("cancelled",)]


async def test_a_job_that_has_just_been_failed_is_not_handed_back(submit, progress, change, begin, sql):
    """As when the worker is stopped in this moment."""
    attempt = await begin((await submit()).id)
    await change(transitions.fail, attempt, StreamCut("cut"))
    with pytest.raises(Superseded):
        await progress.hand_back(attempt)
    assert await sql("select state, error_code from transcriptions") == [("failed", "stream_cut")]


async def test_a_job_that_has_just_been_queued_for_a_retry_is_not_queued_twice(
    submit, progress, change, begin, queue, pool, sql
):
    attempt = await begin((await submit()).id)
    async with pool.connection() as connection:
        await transitions.wait_for_retry(connection, attempt, StreamCut("cut"))
        await queue.put(connection, [attempt.id])
    with pytest.raises(Superseded):
        await progress.hand_back(attempt)
    assert await sql("select count(*) from procrastinate_jobs where status = 'todo'") == [(1,)]
    assert await sql("select state from transcriptions") == [("waiting",)]


async def test_only_the_queue_job_that_the_job_names_begins_an_attempt(submit, change, sql):
    job = await submit()
    [(queue_job,)] = await sql("select queue_job from transcriptions")
    assert await change(transitions.begin, queue_job + 1, job.id) is None
    assert (await change(transitions.begin, queue_job, job.id)).number == 1


async def test_a_finished_job_is_not_begun_again(submit, progress, begin):
    attempt = await begin((await submit()).id)
    await progress.start(attempt, "http://b", started(LONG))
    await progress.finish(attempt, segments, finished(LONG))
    assert await begin(attempt.id) is None


async def test_segments_and_progress_are_one_transaction(submit, progress, begin, sql):
    attempt = await begin((await submit()).id)
    await progress.store(attempt, segments, 10.0)
    unstorable = segments[0].model_copy(update={"text": "\0"})
    with pytest.raises(psycopg.DataError):
        await progress.store(attempt, [segments[1], unstorable], 20.0)
    assert await sql("select progress_seconds from transcriptions") == [(10.0,)]
    assert await sql("select count(*) from segments") == [(2,)]


async def test_a_write_whose_answer_was_lost_is_repeated_without_harm(submit, progress, begin, sql):
    attempt = await begin((await submit()).id)
    await progress.store(replace(attempt), segments, 10.0)
    await progress.store(attempt, segments, 10.0)
    assert await sql("select progress_seconds, previous_seconds from transcriptions") == [(10.0, 0.0)]
    assert await sql("select count(*) from segments") == [(2,)]


async def lose_worker(sql) -> None:
    """As a sweeper does with a worker whose heartbeat has not changed for too long."""
    await sql("delete from procrastinate_workers")


@pytest.fixture
def sweeper(pool, queue) -> Sweeper:
    return Sweeper(pool, queue, MAX_ATTEMPTS)


@pytest.fixture
async def stalled(submit, progress, change, sql):
    """A job that runs at a worker that then shows no heartbeat."""
    job = await submit()
    await sql("insert into procrastinate_workers default values")
    await sql("update procrastinate_jobs set status = 'doing', worker_id = (select id from procrastinate_workers)")
    [(queue_job,)] = await sql("select queue_job from transcriptions")
    attempt = await change(transitions.begin, queue_job, job.id)
    await progress.start(attempt, "http://b", started(LONG))
    await progress.store(attempt, segments, 10.0)
    await lose_worker(sql)
    return attempt


async def test_a_stalled_job_is_queued_again_where_it_stopped(stalled, sweeper, sql):
    assert await sweeper.sweep() == [stalled.id]
    assert await sql("select state, failures, progress_seconds from transcriptions") == [("queued", 1, 10.0)]
    assert await sql("select status from procrastinate_jobs") == [("todo",)]
    assert await sql("select error_code from attempts where ended_at is not null") == [("worker_lost",)]


async def test_the_receipt_of_an_attempt_that_ends_from_outside_says_when(submit, progress, begin, submissions, sql):
    """By a worker that stops, by cancel, and by a new version."""
    id = (await submit()).id
    attempt = await begin(id)
    await progress.start(attempt, "http://b", started(LONG))
    await progress.hand_back(attempt)
    await progress.start(await begin(id), "http://b", started(LONG))
    await submissions.cancel([id])
    await progress.start(await begin((await submit(force=True)).id), "http://b", started(LONG))
    await submit(force=True)
    receipts = await sql("select ended_at is not null, error_code from attempts")
    assert receipts == [(True, None)] * 3


async def test_a_live_worker_keeps_its_job(submit, working, job_in, transcriber, sweeper):
    transcriber.scripts = [falls_silent_after(1)]
    async with working(progress_timeout=60):
        await job_in((await submit()).id, "running")
        assert await sweeper.sweep() == []


async def test_a_worker_that_was_considered_stalled_writes_nothing_more(stalled, sweeper, progress):
    await sweeper.sweep()
    with pytest.raises(Superseded):
        await progress.finish(stalled, [], finished(LONG))


async def test_a_job_that_loses_every_worker_is_failed(stalled, sweeper, sql):
    await sql("update transcriptions set failures = %s", MAX_ATTEMPTS - 1)
    await sweeper.sweep()
    assert await sql("select state, error_code from transcriptions") == [("failed", "worker_lost")]
    assert await sql("select count(*) from procrastinate_jobs") == [(0,)]


async def test_a_running_job_without_a_queue_entry_is_found(stalled, sweeper, sql):
    await sql("delete from procrastinate_jobs")
    assert await sweeper.sweep() == [stalled.id]


async def test_what_a_stalled_worker_had_finished_leaves_the_queue(stalled, sweeper, progress, sql):
    await progress.finish(stalled, [], finished(LONG))
    assert await sweeper.sweep() == []
    assert await sql("select count(*) from procrastinate_jobs") == [(0,)]
    assert await sql("select state from transcriptions") == [("done",)]


async def test_concurrent_sweeps_queue_a_job_once(stalled, sweeper, sql):
    swept = await asyncio.gather(*(sweeper.sweep() for _ in range(4)))
    assert sorted(swept) == [[], [], [], [stalled.id]]
    assert await sql("select count(*) from procrastinate_jobs") == [(1,)]


async def test_a_job_whose_worker_was_pruned_as_it_ended_is_queued_again(submit, pool, queue, sweeper, sql):
    job = await submit()
    [(worker,)] = await sql("insert into procrastinate_workers default values returning id")
    taken = QueueJob.from_row((await fetch.take(pool, worker, [TRANSCRIBE])).entry)
    await lose_worker(sql)
    await queue.app.job_manager.finish_job(taken, Status.ABORTED, True)
    assert await sweeper.sweep() == [job.id]
    assert await sql("select status from procrastinate_jobs") == [("todo",)]


async def test_an_end_that_is_reported_twice_leaves_the_queued_job_alone(submit, pool, queue, sql):
    """As after a commit whose answer was lost."""
    await submit()
    [(worker,)] = await sql("insert into procrastinate_workers default values returning id")
    taken = QueueJob.from_row((await fetch.take(pool, worker, [TRANSCRIBE])).entry)
    for _ in range(2):
        await queue.app.job_manager.finish_job(taken, Status.ABORTED, True)
    assert await sql("select status from procrastinate_jobs") == [("todo",)]
