"""SIGTERM ends a worker within its time of grace, whatever the database does meanwhile."""

import asyncio
import signal
import time

import pytest

from tests.orchestrator.proxy import Proxy
from tests.orchestrator.scripted import falls_silent_after

GRACE_SECONDS = 1


@pytest.fixture
def started(orchestrator, database_url, proxy, submit, job_in, transcriber):
    """Start a command that takes a job, with a short time of grace, behind the proxy."""

    async def start(command: str):
        transcriber.scripts = [falls_silent_after(1)]
        config = orchestrator.config.read_text().replace(database_url, proxy.url)
        keys = f"[orchestrator]\ngrace_seconds = {GRACE_SECONDS}\nprogress_timeout = 300"
        orchestrator.config.write_text(config.replace("[orchestrator]", keys))
        job = await submit()
        running = await orchestrator.start(command)
        await job_in(job.id, "running", seconds=30)
        return running

    return start


@pytest.mark.parametrize("loss", [Proxy.go_away, Proxy.fall_silent])
@pytest.mark.parametrize("command", ["worker", "serve"])
async def test_a_worker_stops_though_the_database_is_away(command, loss, started, proxy):
    running = await started(command)
    loss(proxy)
    await asyncio.sleep(0.5)
    began = time.monotonic()
    ended = await running.ends(signal.SIGTERM, seconds=60)
    assert ended.code == 0, ended.err
    assert time.monotonic() - began < GRACE_SECONDS + 8  # of which the pool takes up to 5 to close
    assert "starts again" not in ended.err


async def test_a_service_that_stops_gives_its_job_back(started, sql):
    running = await started("serve")
    ended = await running.ends(signal.SIGTERM)
    assert ended.code == 0
    assert await sql("select state, failures from transcriptions") == [("queued", 0)]
