"""A worker that is stopped while the end of a job is decided, at every point where it waits for something."""

import asyncio
import logging
from collections.abc import Coroutine, Generator
from typing import Any, NamedTuple

import pytest
from procrastinate.jobs import Job as QueueJob
from procrastinate.jobs import Status
from prometheus_client import CollectorRegistry

from orchestrator.jobs.models import TRANSCRIBE
from orchestrator.queue import fetch
from orchestrator.worker.attempt_runner import AttemptRunner
from orchestrator.worker.kinds import Kind
from orchestrator.worker.metrics import WorkerMetrics
from orchestrator.worker.progress import TranscriptionProgress
from orchestrator.worker.retry import RetryPolicy
from reelscribe.errors import ObjectNotFound, StreamCut
from tests.conftest import THOROUGH
from tests.orchestrator.conftest import MAX_ATTEMPTS
from tests.orchestrator.scripted import LONG, finished, started, window

FAILURES = {"failed": ObjectNotFound("videos has no talk.mp4"), "waiting": StreamCut("the stream broke off")}
ENDS = ("done", *FAILURES)


class Stepwise:
    """Awaits a coroutine, and cancels the task while it waits for the n-th time, for each n of ``stops``."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], stops: set[int]) -> None:
        self._coroutine = coroutine
        self._stops = stops
        self.steps = 0

    def __await__(self) -> Generator[Any, Any, None]:
        proceed, sent = self._coroutine.send, None
        while True:
            try:
                waited_for = proceed(sent)
            except StopIteration:
                return
            self.steps += 1
            if self.steps in self._stops:
                task = asyncio.current_task()
                assert task
                task.cancel()
            try:
                sent, proceed = (yield waited_for), self._coroutine.send
            except BaseException as thrown:
                sent, proceed = thrown, self._coroutine.throw


class Outcome(NamedTuple):
    """What a stopped attempt left. ``reached``: whether all stops came before its end."""

    reached: bool
    state: str
    attempt: int
    failures: int
    queued: list[tuple[int, str]]
    its_entry: int


@pytest.fixture
def stopped_at(pool, queue, submit, sql):
    """Run an attempt as procrastinate does, and stop it at these steps."""
    progress = TranscriptionProgress(pool, queue)
    retry = RetryPolicy(MAX_ATTEMPTS, lambda failures: 60.0)

    async def work_to(end, attempt):
        await progress.start(attempt, "http://transcriber", started(LONG))
        await progress.store(attempt, window(0)[:2], 10.0)
        if end in FAILURES:
            raise FAILURES[end]
        await progress.finish(attempt, [], finished(LONG))

    async def run(end: str, *stops: int) -> Outcome:
        kind = Kind(TRANSCRIBE, 1, lambda attempt: work_to(end, attempt), retry)
        runner = AttemptRunner(pool, queue, kind, WorkerMetrics(CollectorRegistry()))
        job = await submit()
        [(worker,)] = await sql("insert into procrastinate_workers default values returning id")
        entry, attempt = await fetch.take(pool, worker, [TRANSCRIBE])
        taken = QueueJob.from_row(entry)
        steps = Stepwise(runner.run(taken.id, job.id, attempt), set(stops))

        async def process() -> None:
            await steps

        processing = asyncio.create_task(process())
        await asyncio.wait([processing])
        if not processing.cancelled():
            processing.result()
        others = asyncio.all_tasks()
        await queue.app.job_manager.finish_job(taken, Status.ABORTED, True)
        assert not [task for task in others if "hand_back" in repr(task)], "something is written after that"
        [(state, attempt, failures, its_entry)] = await sql("select state, attempt, failures, queue_job from jobs")
        queued = await sql("select id, status::text from procrastinate_jobs")
        await sql("delete from procrastinate_jobs")
        await sql("delete from media")
        return Outcome(steps.steps >= max(stops), state, attempt, failures, queued, its_entry)

    return run


def check(outcome: Outcome, end: str, at: str) -> None:
    if outcome.state in ("done", "failed"):
        assert outcome.state == end and outcome.queued == [], at
    else:
        assert outcome.queued == [(outcome.its_entry, "todo")], at
        assert outcome.state in ("queued", "waiting"), at
    assert outcome.attempt <= 1, at
    assert outcome.failures == (1 if outcome.state == "waiting" else 0), at


@pytest.mark.parametrize("end", ENDS)
async def test_wherever_it_is_stopped_the_job_has_one_state_and_one_entry_or_none(end, stopped_at, caplog):
    caplog.set_level(logging.INFO)
    states, step, reached = [], 0, True
    while reached:
        step += 1
        outcome = await stopped_at(end, step)
        check(outcome, end, f"stopped at step {step}: {outcome}")
        states.append(outcome.state)
        reached = outcome.reached
    assert len(states) > 10
    assert states[0] == "queued" and states[-1] == end
    assert "Traceback" not in caplog.text and "violates" not in caplog.text


@pytest.mark.parametrize("end", ENDS)
async def test_stopped_twice_it_is_the_same(end, stopped_at, caplog):
    caplog.set_level(logging.INFO)
    step = 0
    while (await stopped_at(end, step := step + 1)).reached:
        for later in range(1, 4) if THOROUGH else [1 + step % 3]:
            outcome = await stopped_at(end, step, step + later)
            check(outcome, end, f"stopped at steps {step} and {step + later}: {outcome}")
    assert "Traceback" not in caplog.text and "violates" not in caplog.text
