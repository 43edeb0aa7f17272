"""SIGTERM ends a worker within its time of grace, whatever the database does meanwhile."""

import asyncio
import signal

import pytest

from tests.orchestrator.proxy import Proxy
from tests.orchestrator.scripted import falls_silent_after

GRACE_SECONDS = 1
ANSWER_SECONDS = 30
"""After which any statement is given up: no stop waits for that. It takes 6 s, in 5 of which the pool closes."""


@pytest.fixture
def started(orchestrator, database_url, proxy, submit, job_in, transcriber):
    """Start a command that takes one job, with a short time of grace, behind the proxy."""
    transcriber.scripts = [falls_silent_after(1)]
    config = orchestrator.config.read_text().replace(database_url, proxy.url)
    keys = f"[orchestrator]\ngrace_seconds = {GRACE_SECONDS}\nprogress_timeout = 600\nmax_running = 1"
    orchestrator.config.write_text(config.replace("[orchestrator]", keys))

    async def start(command: str):
        job = await submit(f"{command}.mp4")
        running = await orchestrator.start(command)
        await job_in(job.id, "running")
        return running

    return start


@pytest.mark.parametrize("loss", [Proxy.go_away, Proxy.fall_silent])
async def test_workers_stop_though_the_database_is_away(loss, started, proxy):
    commands = [await started("worker"), await started("serve")]
    loss(proxy)
    await asyncio.sleep(0.5)
    for ended in await asyncio.gather(*(command.ends(signal.SIGTERM, ANSWER_SECONDS - 5) for command in commands)):
        assert ended.code == 0, ended.err
        assert "starts again" not in ended.err


async def test_a_service_that_stops_gives_its_job_back(started, sql):
    running = await started("serve")
    ended = await running.ends(signal.SIGTERM)
    assert ended.code == 0
    assert await sql("select state, failures from transcriptions") == [("queued", 0)]
