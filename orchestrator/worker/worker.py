"""A worker: takes jobs out of the queue, runs some concurrently, and looks after what stalled workers left."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import procrastinate
from procrastinate.exceptions import ConnectorException
from prometheus_client import CollectorRegistry

from orchestrator.database.pool import CONNECTION_ERRORS, Pool, one_line
from orchestrator.queue.procrastinate import Queue
from orchestrator.worker.attempt_runner import AttemptRunner
from orchestrator.worker.kinds import Kind
from orchestrator.worker.metrics import WorkerMetrics
from orchestrator.worker.stalled_jobs import Sweeper

log = logging.getLogger(__name__)

MOST_WITHOUT_SLOT = 1000
"""Jobs that wait for their buckets without a slot; then no other job is taken."""

POLL_SECONDS = 1.0
"""How soon a job whose time has come is taken; a new one is taken immediately."""
REOPEN_SECONDS = 2.0
HEARTBEATS = 5
"""Within the time after which a worker is considered stalled."""
PRUNE_SECONDS = 7 * 86400
"""For workers that the sweeper never saw; it finds the others by a clock that does not jump."""


class Worker:
    """Runs until it is cancelled; running jobs then go back to the queue, and others continue them.

    Args:
        kinds: of work that it takes.
        metrics: of its attempts; by default they are not shown.
    """

    def __init__(
        self,
        pool: Pool,
        queue: Queue,
        kinds: Sequence[Kind],
        sweeper: Sweeper,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        metrics = metrics or WorkerMetrics(CollectorRegistry())
        self._queue = queue
        self._sweeper = sweeper
        self._concurrency = sum(kind.max_running for kind in kinds) + MOST_WITHOUT_SLOT
        self._stopping = False
        self._interval = queue.worker_timeout / HEARTBEATS
        queue.take_kinds({kind.name: kind.most for kind in kinds})
        self._runners = [AttemptRunner(pool, queue, kind, metrics) for kind in kinds]
        queue.skip(lambda: [name for runner in self._runners for name in runner.away_buckets.names()])
        for kind, runner in zip(kinds, self._runners, strict=True):
            self._add_task(kind, runner)

    def _add_task(self, kind: Kind, runner: AttemptRunner) -> None:
        @self._queue.app.task(name=kind.name, pass_context=True)
        async def run(context: procrastinate.JobContext, job: int) -> None:
            assert context.job.id is not None
            try:
                if await runner.run(context.job.id, job, self._queue.begun(context.job.id)):
                    self._queue.note_left(context.job.id)
            except CONNECTION_ERRORS as lost:
                log.warning("job %d: the database went away: %s; it is tried again", job, one_line(lost))

    async def run(self) -> None:
        """Work. A lost database is waited for."""
        working = asyncio.create_task(self._work(), name="worker")
        chores = [
            asyncio.create_task(_repeat(self._sweep, self._interval), name="sweeper"),
            asyncio.create_task(_repeat(self._queue.sort, POLL_SECONDS, self._queue.blocked), name="sorter"),
            asyncio.create_task(_repeat(self._log_waiting, self._interval), name="summary"),
        ]
        try:
            await asyncio.wait([working])
        finally:
            self._stopping = True
            for task in (working, *chores):
                task.cancel()
            await asyncio.wait([working, *chores])
        working.result()

    async def _work(self) -> None:
        while not self._stopping:
            try:
                await self._queue.app.run_worker_async(
                    concurrency=self._concurrency,
                    fetch_job_polling_interval=POLL_SECONDS,
                    abort_job_polling_interval=POLL_SECONDS,
                    shutdown_graceful_timeout=0,
                    delete_jobs="always",
                    install_signal_handlers=False,
                    update_heartbeat_interval=self._interval,
                    stalled_worker_timeout=PRUNE_SECONDS,
                )
            except (ConnectorException, *CONNECTION_ERRORS) as lost:
                if self._stopping:  # then it is raised in place of the cancellation
                    return
                log.warning("the worker starts again: %s", one_line(lost.__cause__ or lost))
            await asyncio.sleep(REOPEN_SECONDS)

    async def _log_waiting(self) -> None:
        for runner in self._runners:
            runner.log_waiting()

    async def _sweep(self) -> None:
        for id in await self._sweeper.sweep():
            log.warning("job %d was left by a worker that is gone", id)


async def _repeat(chore: Callable[[], Awaitable[None]], pause: float, due: asyncio.Event | None = None) -> None:
    """Do it again and again, after this pause in seconds, or as soon as it is due."""
    due = due or asyncio.Event()
    while True:
        try:
            await chore()
        except (ConnectorException, *CONNECTION_ERRORS) as lost:
            log.debug("not now: %s", lost)
        except Exception:  # jobs continue without it
            log.exception("worker")
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await due.wait()
