"""Several workers as processes, several transcribers: each job runs once at a time, and moves to free slots."""

import asyncio
import logging
import signal
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

from orchestrator.database import pool
from orchestrator.queue import fetch
from orchestrator.worker import outages, worker
from tests.orchestrator.conftest import run_worker
from tests.orchestrator.scripted import ScriptedTranscriber, breaks_off_after, falls_silent_after, refuses, transcribes
from tests.waiting import eventually


async def test_two_worker_processes_never_run_a_job_twice_concurrently(orchestrator, submit, job_in, transcriber, sql):
    running: Counter[str] = Counter()
    most = 0

    async def counted(b):
        nonlocal most
        savepath = b.b.requests[-1]["savepath"]
        running[savepath] += 1
        most = max(most, running[savepath])
        await asyncio.sleep(0.05)
        await transcribes()(b)
        running[savepath] -= 1

    transcriber.scripts = [counted]
    workers = [await orchestrator.start("worker") for _ in range(2)]
    for command in workers:
        await command.says("takes as many jobs as")
    jobs = [await submit(f"talk {number}.mp4") for number in range(30)]
    for job in jobs:
        await job_in(job.id, "done")
    for command in workers:
        ended = await command.ends(signal.SIGTERM)
        assert ended.code == 0
        assert ": done, 6 segments" in ended.err, "both took part"
    assert most == 1
    assert len(transcriber.requests) == len(jobs)
    assert await sql("select distinct attempt from transcriptions") == [(1,)]


async def test_a_job_continues_at_another_transcriber(submit, working, job_in, transcriber, monkeypatch):
    monkeypatch.setattr(outages, "pause_seconds", lambda failures: 600.0)
    transcriber.scripts = [breaks_off_after(1)]
    async with ScriptedTranscriber().listening() as other, working(transcriber.url, other.url):
        other.free = 3
        done = await job_in((await submit()).id, "done")
    assert (done.attempt, [request.get("start") for request in other.requests]) == (2, [10.0])


async def test_the_least_loaded_transcriber_is_asked_first(submit, working, job_in, transcriber):
    transcriber.capacity, transcriber.free = 8, 4
    async with ScriptedTranscriber().listening() as other, working(transcriber.url, other.url):
        other.capacity, other.free = 4, 3
        await job_in((await submit()).id, "done")
        assert (len(transcriber.requests), len(other.requests)) == (0, 1)


async def test_jobs_are_spread_over_transcribers(submit, working, job_in, transcriber):
    transcriber.scripts = [falls_silent_after(1)]
    async with ScriptedTranscriber().listening() as other, working(transcriber.url, other.url, progress_timeout=60):
        other.scripts = [falls_silent_after(1)]
        for number in range(4):
            await submit(f"{number}.mp4")
        while len(transcriber.requests) + len(other.requests) < 4:
            await asyncio.sleep(0.02)
        assert (len(transcriber.requests), len(other.requests)) == (2, 2)


async def test_a_transcriber_that_fails_is_left_alone_and_probed_again(
    submit, working, job_in, transcriber, monkeypatch
):
    now = time.monotonic()
    monkeypatch.setattr(outages, "time", SimpleNamespace(monotonic=lambda: now))
    transcriber.scripts = [breaks_off_after(0), transcribes()]
    async with ScriptedTranscriber().listening() as other, working(transcriber.url, other.url):
        other.free = 3
        for number in range(6):
            await job_in((await submit(f"{number}.mp4")).id, "done")
        assert (len(transcriber.requests), transcriber.probes) == (1, 1), "it gets no job, and is not even asked"
        now += 2  # the longest pause after one failure
        other.scripts = [refuses(503, "busy", "all slots are taken", True, retry_after=1)]
        await job_in((await submit("late.mp4")).id, "done")
        assert len(transcriber.requests) == 2


async def test_a_job_that_comes_while_a_worker_looks_for_one_is_taken_immediately(
    submit, working, job_in, notified, monkeypatch
):
    take = fetch.take
    taken: list[Any] = []
    late: list[Any] = []

    async def look_for_long(*arguments):
        taken.append(await take(*arguments))
        if any(taken) and taken[-1] is None and not late:
            late.append(await submit("late.mp4"))
            await asyncio.sleep(0.3)  # in which the worker is notified of it
            return None
        return taken[-1]

    monkeypatch.setattr(fetch, "take", look_for_long)
    async with working():
        await notified()
        await job_in((await submit()).id, "done")
        await eventually(lambda: late)
        await job_in(late[0].id, "done")


async def test_a_database_that_goes_and_comes_back_is_two_lines(
    proxy, transcriber, submit, job_in, caplog, monkeypatch
):
    caplog.set_level(logging.INFO, "orchestrator")
    monkeypatch.setattr(pool, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.1)

    def ours() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name.startswith("orchestrator")]

    async with run_worker(proxy.url, (transcriber.url,), 30):
        await submit("before.mp4")
        await eventually(lambda: any("before.mp4: done" in line for line in ours()))
        caplog.clear()
        proxy.go_away()
        await eventually(ours)
        await asyncio.sleep(1)
        [gone] = ours()
        assert gone.startswith("the database does not answer") and "no job is taken until that is over" in gone
        await proxy.come_back()
        await job_in((await submit("after.mp4")).id, "done")
    assert len([line for line in ours() if "the database answers again" in line]) == 1
