"""A worker: takes jobs out of the queue, keeps some running at once, and sweeps up after workers that died."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import procrastinate
from procrastinate.exceptions import ConnectorException

from machine.auth import Tokens
from machine.settings import Settings
from orchestrator.attempts import Attempts
from orchestrator.database import TROUBLE, Pool
from orchestrator.dispatch import Dispatcher
from orchestrator.queue import HEARTBEAT_SECONDS, QUEUE, STALLED_SECONDS, TASK, Queue
from orchestrator.transcribers import Transcribers

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How soon a job whose time has come is taken; a new one is taken at once."""
SWEEP_SECONDS = 10.0
REOPEN_SECONDS = 2.0


class Worker:
    """Runs until it is cancelled; running jobs then go back to the queue, where others take them up.

    Args:
        max_running: jobs at once.
        max_attempts: losses of a worker after which the job that it ran is failed.
    """

    def __init__(self, queue: Queue, dispatcher: Dispatcher, max_running: int, max_attempts: int) -> None:
        self._queue = queue
        self._max_running = max_running
        self._max_attempts = max_attempts

        @queue.app.task(name=TASK, queue=QUEUE, pass_context=True)
        async def transcribe(context: procrastinate.JobContext, transcription: int) -> None:
            assert context.job.id is not None
            try:
                await dispatcher.run(context.job.id, transcription)
            except TROUBLE as lost:
                log.warning("job %d: the database went away: %s; a sweep takes it up", transcription, _one_line(lost))

    async def run(self) -> None:
        """Work. A lost database is waited for."""
        sweeper = asyncio.create_task(self._sweep(), name="sweeper")
        try:
            while True:
                try:
                    await self._queue.app.run_worker_async(
                        queues=[QUEUE],
                        concurrency=self._max_running,
                        fetch_job_polling_interval=POLL_SECONDS,
                        abort_job_polling_interval=POLL_SECONDS,
                        shutdown_graceful_timeout=0,
                        delete_jobs="always",
                        install_signal_handlers=False,
                        update_heartbeat_interval=HEARTBEAT_SECONDS,
                        stalled_worker_timeout=STALLED_SECONDS,
                    )
                except (ConnectorException, *TROUBLE) as lost:
                    log.warning("the database is gone: %s", _one_line(lost.__cause__ or lost))
                await asyncio.sleep(REOPEN_SECONDS)
        finally:
            sweeper.cancel()
            await asyncio.wait([sweeper])

    async def _sweep(self) -> None:
        while True:
            try:
                for id in await self._queue.sweep(self._max_attempts):
                    log.warning("job %d was left by a worker that is gone", id)
            except (ConnectorException, *TROUBLE) as lost:
                log.debug("no sweep now: %s", lost)
            await asyncio.sleep(SWEEP_SECONDS)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


@asynccontextmanager
async def make_worker(settings: Settings, pool: Pool, queue: Queue) -> AsyncIterator[Worker]:
    """A worker as config.cfg wants it, with its way to the Machine Bs.

    Raises:
        SettingsError: the token file is unusable.
    """
    section = settings.orchestrator
    tokens = Tokens.from_file(settings.auth.token_file)
    async with Transcribers(section.transcriber_urls, tokens, section.progress_timeout) as transcribers:
        dispatcher = Dispatcher(Attempts(pool, queue), transcribers, settings.paths.bucket_name, section.max_attempts)
        yield Worker(queue, dispatcher, section.max_running, section.max_attempts)
