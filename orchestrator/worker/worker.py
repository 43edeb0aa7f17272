"""A worker: takes jobs out of the queue, keeps some running at once, and sweeps up after workers that died."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import procrastinate
from procrastinate.exceptions import ConnectorException

from orchestrator.database.pool import TROUBLE, Pool, one_line
from orchestrator.queue.procrastinate import TASK, Queue
from orchestrator.worker.dispatch import Dispatcher
from orchestrator.worker.progress import Attempts
from orchestrator.worker.stalled_jobs import Sweeper
from orchestrator.worker.transcriber_client import Transcribers
from reelscribe.http.auth import Tokens
from reelscribe.settings.loading import Settings

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How soon a job whose time has come is taken; a new one is taken at once."""
REOPEN_SECONDS = 2.0
SIGNS_OF_LIFE = 5
"""Heartbeats within the time after which a worker is taken for dead."""
PRUNE_SECONDS = 7 * 86400
"""For what the sweeper never saw; it buries the dead by a clock that does not jump."""


class Worker:
    """Runs until it is cancelled; running jobs then go back to the queue, where others take them up.

    Args:
        max_running: jobs at once.
    """

    def __init__(self, queue: Queue, dispatcher: Dispatcher, sweeper: Sweeper, max_running: int) -> None:
        self._queue = queue
        self._sweeper = sweeper
        self._max_running = max_running
        self._stopping = False
        self._interval = queue.worker_timeout / SIGNS_OF_LIFE

        @queue.app.task(name=TASK, pass_context=True)
        async def transcribe(context: procrastinate.JobContext, transcription: int) -> None:
            assert context.job.id is not None
            try:
                await dispatcher.run(context.job.id, transcription)
            except TROUBLE as lost:
                log.warning("job %d: the database went away: %s; it is tried again", transcription, one_line(lost))

    async def run(self) -> None:
        """Work. A lost database is waited for."""
        working = asyncio.create_task(self._work(), name="worker")
        chores = [
            asyncio.create_task(_repeat(self._sweep, self._interval), name="sweeper"),
            asyncio.create_task(_repeat(self._queue.sort, POLL_SECONDS), name="sorter"),
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
                    concurrency=self._max_running,
                    fetch_job_polling_interval=POLL_SECONDS,
                    abort_job_polling_interval=POLL_SECONDS,
                    shutdown_graceful_timeout=0,
                    delete_jobs="always",
                    install_signal_handlers=False,
                    update_heartbeat_interval=self._interval,
                    stalled_worker_timeout=PRUNE_SECONDS,
                )
            except (ConnectorException, *TROUBLE) as lost:
                if self._stopping:  # then it stands for the cancellation that it took the place of
                    return
                log.warning("the worker begins anew: %s", one_line(lost.__cause__ or lost))
            await asyncio.sleep(REOPEN_SECONDS)

    async def _sweep(self) -> None:
        for id in await self._sweeper.sweep():
            log.warning("job %d was left by a worker that is gone", id)


async def _repeat(chore: Callable[[], Awaitable[None]], pause: float) -> None:
    while True:
        try:
            await chore()
        except (ConnectorException, *TROUBLE) as lost:
            log.debug("not now: %s", lost)
        except Exception:  # jobs go on without it
            log.exception("worker")
        await asyncio.sleep(pause)


@asynccontextmanager
async def make_worker(settings: Settings, pool: Pool, queue: Queue) -> AsyncIterator[Worker]:
    """A worker as config.cfg wants it, with its way to the transcribers.

    Raises:
        SettingsError: the token file is unusable.
    """
    section = settings.orchestrator
    tokens = Tokens.from_file(settings.auth.token_file)
    async with Transcribers(section.transcriber_urls, tokens, section.progress_timeout) as transcribers:
        dispatcher = Dispatcher(Attempts(pool, queue), transcribers, settings.paths.bucket_name, section.max_attempts)
        sweeper = Sweeper(pool, queue, section.max_attempts)
        yield Worker(queue, dispatcher, sweeper, section.max_running)
