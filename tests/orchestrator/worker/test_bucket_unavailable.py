"""A bucket that is not mounted, through a real extractor, a real transcriber and a real worker: the queue waits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from orchestrator.jobs.stats import overview
from orchestrator.worker import outages, transcriber_choice
from orchestrator.worker.attempt_runner import NO_SLOT
from reelscribe.contracts.events import Failed
from tests.orchestrator.conftest import run_worker
from tests.orchestrator.scripted import LONG, started, transcribes
from tests.waiting import eventually


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again soon."""
    monkeypatch.setattr(outages, "pause_seconds", lambda failures: 0.2)
    monkeypatch.setattr(transcriber_choice, "RETRY_SECONDS", 0.2)


async def test_jobs_wait_for_a_bucket_that_is_gone_and_continue_by_themselves(
    quick, extractor, real_transcriber, http, bucket: Path, make_video: Callable, submit, working, job_in, sql, caplog
):
    caplog.set_level(logging.INFO)
    for name in ("one.mp4", "two.mp4"):
        make_video(bucket / name)
    away = bucket.rename(bucket.with_name("unmounted"))
    ids = [(await submit(name)).id for name in ("one.mp4", "two.mp4")]
    async with working(real_transcriber):
        for id in ids:
            job = await job_in(id, "waiting")
            assert "bucket videos is not there" in job.error.message
        listed = await http.get(f"{extractor}/objects")
        assert (listed.status_code, listed.json()["error"]["code"]) == (503, "bucket_unavailable")
        assert listed.json()["error"]["retryable"]
        health = await http.get(f"{extractor}/healthz")
        assert (health.status_code, health.json()["status"]) == (503, "degraded")
        seen = (await http.get(f"{real_transcriber}/healthz")).json()
        assert seen["status"] == "degraded" and "bucket videos is not there" in seen["problems"][0]
        written = await sql("select xmin::text from jobs order by id")
        await asyncio.sleep(1)
        assert await sql("select xmin::text from jobs order by id") == written, "a job that waits is not written again"
        away.rename(bucket)
        jobs = [await job_in(id, "done") for id in ids]
    assert [(job.attempt, job.failures) for job in jobs] == [(1, 0)] * 2
    assert (await http.get(f"{extractor}/healthz")).status_code == 200
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("orchestrator.worker.outages")]
    assert len([line for line in lines if "not there" in line]) == 1
    refused = [record.name for record in caplog.records if "bucket_unavailable" in record.getMessage()]
    refused.remove("reelscribe.http.server.service")  # of GET /objects or of the first job, whichever was first
    assert refused == ["transcriber.service"]
    assert lines[-1].startswith("the bucket through") and "can be used again" in lines[-1]


async def test_an_object_that_a_mounted_bucket_lacks_is_not_found(
    extractor, real_transcriber, bucket, submit, working, job_in
):
    async with working(real_transcriber):
        job = await job_in((await submit("no-such.mp4")).id, "failed")
    assert job.error.code == "object_not_found"


@pytest.mark.parametrize("other_buckets", [("other",)])
async def test_jobs_of_a_bucket_that_is_away_keep_no_other_bucket_waiting(
    quick, real_transcriber, bucket: Path, make_video: Callable, submit, working, job_in, sql
):
    """The worker has four slots, which twenty jobs of the other bucket would fill."""
    other = bucket.with_name("other")
    other.mkdir()
    away = [(await submit(f"{number}.mp4", bucket=other.name)).id for number in range(20)]
    make_video(bucket / "here.mp4")
    unmounted = bucket.parent.with_name("unmounted")
    for number in range(20):  # before the worker runs, which is in this process and would have to wait
        make_video(unmounted / f"{number}.mp4", seconds=1)
    async with working(real_transcriber):
        [first, *_] = away
        await job_in(first, "waiting")
        for _ in range(6):
            await job_in((await submit("here.mp4", force=True)).id, "done")
        states = dict(await sql("select state, count(*) from jobs where id = any(%s) group by 1", away))
        assert sum(states.values()) == 20 and states.keys() <= {"queued", "running", "waiting"}
        attempts = await sql("select sum(attempt) from jobs where id = any(%s)", away)
        assert attempts <= [(4,)], "they are not taken again and again"
        unmounted.rename(other)
        jobs = [await job_in(id, "done") for id in away]
    assert [(job.attempt, job.failures) for job in jobs] == [(1, 0)] * 20
    ends = await sql("select id from jobs where id = any(%s) order by finished_at", away)
    assert {id for (id,) in ends[:8]} <= set(away[:11]), "in their order, but for the three that run with the eighth"


@pytest.mark.parametrize("other_buckets", [("other",)])
async def test_one_slot_is_enough_for_a_bucket_while_another_is_away(
    quick, database_url, real_transcriber, bucket: Path, make_video: Callable, submit, job_in
):
    other = bucket.with_name("other")
    away = [(await submit(f"{number}.mp4", bucket=other.name)).id for number in range(3)]
    make_video(bucket / "here.mp4")
    async with run_worker(database_url, (real_transcriber,), 5, max_running=1):
        await job_in(away[0], "waiting")
        for _ in range(4):
            await job_in((await submit("here.mp4", force=True)).id, "done")
        for number in range(3):
            make_video(other / f"{number}.mp4", seconds=1)
        jobs = [await job_in(id, "done") for id in away]
    assert [(job.attempt, job.failures) for job in jobs] == [(1, 0)] * 3


@pytest.mark.parametrize("other_buckets", [("other",)])
async def test_another_job_tries_the_bucket_if_the_one_that_did_is_cancelled(
    quick, real_transcriber, bucket: Path, make_video: Callable, submit, working, job_in, submissions
):
    other = bucket.with_name("other")
    away = [(await submit(f"{number}.mp4", bucket=other.name)).id for number in range(6)]
    async with working(real_transcriber):
        for id in away[:5]:
            await job_in(id, "waiting", "queued")
            await submissions.cancel([id])
        make_video(other / "5.mp4", seconds=1)
        job = await job_in(away[5], "done")
    assert job.failures == 0


@pytest.mark.parametrize("other_buckets", [("other",)])
async def test_jobs_that_wait_for_their_bucket_go_back_to_the_queue_when_the_worker_stops(
    quick, real_transcriber, bucket: Path, make_video: Callable, submit, working, job_in, sql
):
    other = bucket.with_name("other")
    away = [(await submit(f"{number}.mp4", bucket=other.name)).id for number in range(6)]
    for _ in range(2):
        async with working(real_transcriber):
            await job_in(away[0], "waiting")
        assert await sql("select distinct state, failures from jobs") == [("queued", 0)]
        assert await sql("select count(*), count(worker_id) from procrastinate_jobs") == [(6, 0)]
    for number in range(6):
        make_video(other / f"{number}.mp4", seconds=1)
    async with working(real_transcriber):
        for id in away:
            await job_in(id, "done")


@pytest.fixture
def shared(transcriber) -> SimpleNamespace:
    """The scripted transcriber, on which no recording of the bucket ``other`` can be read until ``mounted`` is set, and
    no recording ends until ``ends`` lets it; how many it ``runs``, and the ``most`` at the same time.
    """
    state = SimpleNamespace(mounted=False, ends=asyncio.Semaphore(0), runs=0, most=0)
    whole = transcribes()

    async def script(b):
        if b.b.requests[-1].get("bucket_name") == "other" and not state.mounted:
            await eventually(lambda: len(b.b.requests) >= 4)  # the worker has taken as many as it can
            away = "bucket other is not there"
            await b.tell(Failed(code="bucket_unavailable", message=away, retryable=True))
            return
        state.runs += 1
        state.most = max(state.most, state.runs)
        await b.tell(started(LONG))
        await state.ends.acquire()
        state.runs -= 1
        await whole(b)

    transcriber.scripts = [script]
    return state


async def test_jobs_whose_bucket_is_back_wait_for_slots_that_others_have_and_say_so(
    shared, submit, working, job_in, sql, pool
):
    away = [(await submit(f"{number}.mp4", bucket="other")).id for number in range(6)]
    async with working():
        for id in away[:4]:
            await job_in(id, "waiting")
        others = [(await submit(f"{number}.mp4")).id for number in range(5)]
        await eventually(lambda: shared.runs == 4)
        async with pool.connection() as connection:
            seen = await overview(connection)
        assert (seen.buckets_away, seen.no_transcriber) == ({"other": "bucket other is not there"}, None)
        shared.mounted = True
        shared.ends.release()
        no_slot = "select 1 from jobs where state = 'waiting' and error_message = %s having count(*) >= %s"
        await eventually(lambda: sql(no_slot, NO_SLOT, 3))

        async def is_read() -> bool:
            async with pool.connection() as connection:
                return not (await overview(connection)).buckets_away

        await eventually(is_read)
        assert await sql("select state, count(*) from jobs where id = any(%s) group by 1 order by 1", others) == [
            *(("done", 1), ("queued", 1), ("running", 3))
        ], "none is taken before those that wait for a slot"
        for _ in range(len(away) + len(others)):
            shared.ends.release()
        jobs = [await job_in(id, "done") for id in away + others]
    assert {(job.attempt, job.failures) for job in jobs} == {(1, 0)}
    assert shared.most == 4


async def test_no_job_of_a_bucket_is_asked_for_while_another_tries_it(
    shared, transcriber, submit, working, job_in, sql
):
    for number in range(10):
        await submit(f"{number}.mp4", bucket="other")
    async with working():
        await eventually(lambda: len(transcriber.requests) > 12)
        tried = [request["savepath"] for request in transcriber.requests]
        assert len(set(tried[4:])) == 1, "of those that were taken first, one tries again"
        assert await sql("select sum(attempt) <= 4 from jobs") == [(True,)]
        shared.mounted = True
        for _ in range(10):
            shared.ends.release()
        for id in range(1, 11):
            await job_in(id, "done")
