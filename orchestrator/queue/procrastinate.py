"""The queue: procrastinate on our own PostgreSQL, so that recording a job and queueing it are one transaction.

A transcription names its one queue job (``queue_job``). Only that one may begin an attempt; whatever gives the work to
another queue job (a retry, a sweep) changes the name in the same transaction. The queue holds unfinished work only.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import procrastinate
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as QueueJob
from procrastinate.jobs import Notification, Status
from procrastinate.manager import JobManager, NotificationCallback
from psycopg.errors import ForeignKeyViolation
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from orchestrator.database.pool import IDLE_SECONDS, TROUBLE, Pool, one_line
from orchestrator.database.sql import Connection
from orchestrator.jobs.models import UNFINISHED
from orchestrator.queue import backlog, fetch, order

log = logging.getLogger(__name__)

TASK = "transcribe"
REOPEN_SECONDS = 1.0
FINISH_SECONDS = 20.0
"""How long the end of a job is kept from a database that is gone; then the job is put back."""
DOUBT_SECONDS = 2.0 * IDLE_SECONDS
"""How long after a loss of the database a commit may still arrive there whose answer nobody awaits."""

_SAVEPATH = "(select m.savepath from media m where m.id = t.media_id)"


@contextmanager
def _own_errors() -> Iterator[None]:
    """psycopg's errors as they were: procrastinate hides which of them a new connection cures."""
    try:
        yield
    except ConnectorException as hidden:
        raise hidden.__cause__ or hidden from None


class _Manager(JobManager):
    """What the worker does to the queue: by our order of turns, and without stopping all jobs for a lost connection."""

    def __init__(self, connector: procrastinate.PsycopgConnector) -> None:
        super().__init__(connector)
        self._connector = connector
        self._notified = 0
        self._running: set[int | None] = set()
        self._doubt_until = 0.0

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> QueueJob | None:
        while True:
            notified = self._notified
            try:
                if time.monotonic() < self._doubt_until:
                    await self._put_back(worker_id)
                row = await fetch.take(self._connector.pool, worker_id)
            except ForeignKeyViolation as forgotten:
                raise ConnectorException("this worker was taken for dead; it begins anew") from forgotten
            except TROUBLE as lost:
                log.warning("no job can be taken: the database is gone: %s", one_line(lost))
                self._doubt_until = time.monotonic() + DOUBT_SECONDS
                return None
            if row:
                self._running.add(row["id"])
                return QueueJob.from_row(row)
            if notified == self._notified:
                return None  # procrastinate now forgets what it was notified of meanwhile

    async def _put_back(self, worker_id: int) -> None:
        """Back to its place in the queue with what this worker has, but does not run: it took it, or ended it, and lost
        the database before it heard so. No sweep looks for jobs of a living worker.
        """
        async with self._connector.pool.connection() as connection:
            await connection.execute(
                """
                update procrastinate_jobs set status = 'todo', worker_id = null, abort_requested = false
                where worker_id = %s and status = 'doing' and id <> all(%s)
                """,
                (worker_id, list(self._running)),
            )

    async def update_heartbeat(self, worker_id: int) -> None:
        try:
            await super().update_heartbeat(worker_id)
        except ConnectorException as lost:
            log.debug("no heartbeat: %s", lost)

    async def list_jobs_to_abort_async(self, queue: str | None = None) -> Iterable[int]:
        try:
            return await super().list_jobs_to_abort_async(queue)
        except ConnectorException as lost:
            log.debug("nothing known of cancelled jobs: %s", lost)
            return ()

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        async def count(*, channel: str, notification: Notification) -> None:
            self._notified += 1
            await on_notification(channel=channel, notification=notification)

        while True:
            try:
                await super().listen_for_jobs(on_notification=count, queues=queues)
            except ConnectorException as lost:
                log.debug("not told of new jobs: %s", lost)
            await asyncio.sleep(REOPEN_SECONDS)

    async def finish_job(self, job: QueueJob, status: Status, delete_job: bool) -> None:
        """Take the job out of the queue; back to its place in it if the database was lost before it was decided."""
        try:
            await self._finish(job)
        except ConnectorException:
            self._doubt_until = time.monotonic() + DOUBT_SECONDS
            raise
        finally:
            self._running.discard(job.id)

    @retry(
        retry=retry_if_exception_type(ConnectorException),
        wait=wait_fixed(REOPEN_SECONDS),
        stop=stop_after_delay(FINISH_SECONDS),
        reraise=True,
    )
    async def _finish(self, job: QueueJob) -> None:
        await self.connector.execute_query_async(
            f"""
            with undecided as (
                update procrastinate_jobs j set status = 'todo', worker_id = null, abort_requested = false,
                    scheduled_at = now() + make_interval(secs => %(pause)s)
                from transcriptions t
                where j.id = %(id)s and j.worker_id = %(worker)s and t.id = (j.args->>'transcription')::bigint
                    and t.queue_job = j.id and t.state = any(%(unfinished)s)
                returning j.id
            ), gone as (
                delete from procrastinate_jobs
                where id = %(id)s and worker_id = %(worker)s and not exists (select from undecided)
            )
            select wake.* from ({order.WAKE}) wake where exists (select from queue_rules where max_running is not null)
            """,
            id=job.id,
            worker=job.worker_id,
            pause=REOPEN_SECONDS,
            unfinished=list(UNFINISHED),
        )


class Queue:
    """Puts transcriptions into the queue; :class:`orchestrator.worker.worker.Worker` takes them out.

    Args:
        pool: an open pool, shared with everything else of this process.
        worker_timeout: silence in seconds after which a worker is taken for dead.
    """

    def __init__(self, pool: Pool, worker_timeout: float = 20) -> None:
        self.worker_timeout = worker_timeout
        self._pool = pool
        connector = procrastinate.PsycopgConnector()
        self.app = procrastinate.App(connector=connector)
        self.app.job_manager = _Manager(connector)

    async def open(self) -> None:
        """Must be awaited before anything else."""
        await self.app.open_async(self._pool)

    async def put(self, connection: Connection, ids: Sequence[int], delay_seconds: float = 0) -> None:
        """Queue transcriptions, in the transaction of ``connection``, each with its own priority."""
        if not ids:
            return
        await connection.execute(
            f"""
            with wanted as (
                select array_agg(id order by id) as ids, array_agg(
                    row (
                        {order.lane_of(_SAVEPATH)}, %(task)s, priority, null, null,
                        jsonb_build_object('transcription', id),
                        case when %(delay)s > 0 then now() + make_interval(secs => %(delay)s) end
                    )::procrastinate_job_to_defer_v1 order by id
                ) as jobs
                from transcriptions t where id = any(%(ids)s)
            ),
            queued as (select ids, procrastinate_defer_jobs_v1(jobs) as queue_jobs from wanted)
            update transcriptions t set queue_job = placed.queue_job
            from queued, unnest(queued.ids, queued.queue_jobs) as placed (id, queue_job) where t.id = placed.id
            """,
            {"task": TASK, "delay": delay_seconds, "ids": list(ids)},
        )

    async def withdraw(self, connection: Connection, queue_jobs: Sequence[int]) -> None:
        """Take jobs out of the queue; a worker that runs one of them stops it."""
        for queue_job in queue_jobs:
            with _own_errors():
                await self.app.job_manager.cancel_job_by_id_async(
                    queue_job, abort=True, delete_job=True, connection=connection
                )

    async def sort(self) -> None:
        """Make way where jobs that are held up stand before others; done regularly, no job waits for such a one."""
        await backlog.sort(self._pool)

    async def count_workers(self) -> int:
        """How many workers show a heartbeat, on this host or another."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select count(*) from procrastinate_workers where last_heartbeat > now() - make_interval(secs => %s)",
                (self.worker_timeout,),
            )
            row = await cursor.fetchone()
        return row[0] if row else 0
