"""Work of a kind that nothing but this file knows: queue, worker, sweep, lists and events take it as it is."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from orchestrator.api.feed import Feed
from orchestrator.errors import Unavailable
from orchestrator.jobs import queries, stats, transitions
from orchestrator.queue import rules
from orchestrator.queue.procrastinate import Queue
from orchestrator.worker.kinds import Kind
from orchestrator.worker.retry import RetryPolicy
from orchestrator.worker.stalled_jobs import Sweeper
from orchestrator.worker.worker import Worker
from reelscribe.errors import NotReadable, StreamCut
from tests.orchestrator.conftest import MAX_ATTEMPTS

PREVIEW = "preview"


@pytest.fixture
def add(pool, queue):
    """Queue a preview, of a savepath or of nothing in particular; its id."""

    async def add(savepath: str | None = None) -> int:
        async with pool.connection() as connection:
            cursor = await connection.execute(
                """
                with media as (
                    insert into media (bucket, savepath) select 'videos', %(savepath)s
                    where %(savepath)s::text is not null on conflict do nothing returning id
                )
                insert into jobs (kind, media_id) values (%(kind)s, (select id from media)) returning id
                """,
                {"savepath": savepath, "kind": PREVIEW},
            )
            [id] = await cursor.fetchone()
            await queue.put(connection, [id])
        return id

    return add


@pytest.fixture
def working_on(pool):
    """A worker that takes previews, each done by a function of its attempt."""

    @asynccontextmanager
    async def work(function, max_running: int = 2):
        async def finish(attempt):
            await function(attempt)
            async with pool.connection() as connection:
                await transitions.finish(connection, attempt)

        queue = Queue(pool)
        await queue.open()
        kind = Kind(PREVIEW, max_running, finish, RetryPolicy(MAX_ATTEMPTS, lambda failures: 0))
        task = asyncio.create_task(Worker(pool, queue, [kind], Sweeper(pool, queue, MAX_ATTEMPTS)).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    return work


async def succeed(attempt) -> None:
    """There is nothing to it."""


async def test_it_is_done(add, working_on, job_in):
    with_savepath, without = await add("a.mp4"), await add()
    async with working_on(succeed):
        assert (await job_in(with_savepath, "done")).savepath == "a.mp4"
        assert (await job_in(without, "done")).savepath == ""


async def test_a_transient_failure_is_retried_and_a_permanent_one_is_not(add, working_on, job_in):
    failures = [StreamCut("it broke off"), NotReadable("it is encrypted")]

    async def fail(attempt):
        raise failures.pop(0)

    async with working_on(fail):
        job = await job_in(await add("a.mp4"), "failed")
    assert (job.attempt, job.error.message) == (2, "it is encrypted")


async def test_it_waits_for_what_it_needs_and_uses_up_no_attempt(add, working_on, job_in):
    missing = [Unavailable("the extractor is away", 0.1) for _ in range(MAX_ATTEMPTS + 1)]

    async def need(attempt):
        if missing:
            raise missing.pop()

    async with working_on(need):
        job = await job_in(await add("a.mp4"), "done")
    assert (job.attempt, job.failures) == (1, 0)


async def test_no_more_than_its_number_run_at_the_same_time(add, working_on, job_in):
    running, most = 0, 0

    async def count(attempt):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1

    ids = [await add(f"{number}.mp4") for number in range(6)]
    async with working_on(count, max_running=2):
        for id in ids:
            await job_in(id, "done")
    assert most == 2


async def test_it_does_not_wait_behind_transcriptions_that_no_worker_takes(add, submit, working_on, job_in):
    waiting = await submit("talk.mp4")
    async with working_on(succeed):
        await job_in(await add("a.mp4"), "done")
    assert (await job_in(waiting.id, "queued")).attempt == 0


async def test_a_worker_of_transcriptions_leaves_it_alone(add, submit, working, job_in):
    preview = await add("a.mp4")
    async with working():
        await job_in((await submit("talk.mp4")).id, "done")
    assert (await job_in(preview, "queued")).attempt == 0


async def test_a_stalled_worker_loses_it_to_another(add, working_on, job_in, pool, queue, sql):
    id = await add("a.mp4")
    await sql("insert into procrastinate_workers default values")
    await sql("update procrastinate_jobs set status = 'doing', worker_id = (select id from procrastinate_workers)")
    await sql("delete from procrastinate_workers")
    assert await Sweeper(pool, queue, MAX_ATTEMPTS).sweep() == [id]
    async with working_on(succeed):
        assert (await job_in(id, "done")).failures == 1


async def test_a_running_one_is_cancelled(add, working_on, job_in, submissions):
    started = asyncio.Event()

    async def hang(attempt):
        started.set()
        await asyncio.sleep(60)

    id = await add("a.mp4")
    async with working_on(hang):
        await started.wait()
        assert await submissions.cancel([id]) == [id]
        await job_in(id, "cancelled")
    assert await submissions.retry([id]) == [id]


async def test_a_pause_holds_for_it_too(add, working_on, job_in, pool):
    async with pool.connection() as connection:
        await rules.pause(connection, "archive/", "me")
    paused, other = await add("archive/a.mp4"), await add("a.mp4")
    async with working_on(succeed):
        await job_in(other, "done")
        assert (await job_in(paused, "queued")).attempt == 0
        async with pool.connection() as connection:
            await rules.resume(connection, "archive/")
        await job_in(paused, "done")


async def test_lists_and_counts_name_it_if_asked_for_it(add, pool):
    id = await add("a.mp4")
    async with pool.connection() as connection:
        assert [job.id for job in await queries.list_jobs(connection, kind=PREVIEW)] == [id]
        assert await queries.list_jobs(connection) == []
        assert await stats.count_by_state(connection, PREVIEW) == {"queued": 1}
        assert (await stats.pending_work(connection, [PREVIEW])).pending == 1


async def test_its_changes_are_followed(add, working_on, pool):
    id = await add("a.mp4")
    async with Feed(pool).follow(id) as follower, working_on(succeed):
        states = []
        while "done" not in states:
            await follower.news(10)
            jobs, _ = follower.take()
            states += [job.state for job in jobs]
