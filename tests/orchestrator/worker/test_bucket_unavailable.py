"""A bucket that is not mounted, through a real extractor, a real transcriber and a real worker: the queue waits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from orchestrator.worker import outages, transcriber_choice


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
    async with working(real_transcriber):
        ids = [(await submit(name)).id for name in ("one.mp4", "two.mp4")]
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
