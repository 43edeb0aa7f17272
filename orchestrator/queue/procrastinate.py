"""The queue: procrastinate on our own PostgreSQL, so that recording a job and queueing it are one transaction.

A job names its one entry in the queue (``queue_job``). Only that one may begin an attempt; whatever gives the work to
another entry (a retry, a stalled worker) changes the name in the same transaction. The queue holds unfinished jobs.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

import procrastinate
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as QueueJob
from procrastinate.jobs import Notification, Status
from procrastinate.manager import JobManager, NotificationCallback
from psycopg.errors import ForeignKeyViolation
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from orchestrator.database.pool import CONNECTION_ERRORS, IDLE_SECONDS, Pool, one_line
from orchestrator.jobs.attempts import Attempt
from orchestrator.jobs.models import UNFINISHED
from orchestrator.queue import backlog, fetch
from orchestrator.queue.entries import QueueEntries
from orchestrator.queue.order import WAKE
from orchestrator.queue.slots import Slots

log = logging.getLogger(__name__)

REOPEN_SECONDS = 1.0
FINISH_SECONDS = 20.0
"""How long the end of a job waits for a database that is gone; then the job is put back."""
UNSURE_SECONDS = 2.0 * IDLE_SECONDS
"""How long after a loss of the database a commit may still arrive there whose answer no client awaits."""


class _Manager(JobManager):
    """What the worker does to the queue: in our order, and without stopping all jobs for a lost connection.

    Attributes:
        slots: for the kinds which this worker takes.
        away: jobs of buckets that it skips now.
        begun: entries that were taken, until they run, with the attempts that began with that.
        left: entries that have left the queue with the last write of their jobs.
        blocked: set if there was no job to take, but one may be behind those that are skipped.
    """

    def __init__(self, connector: procrastinate.PsycopgConnector) -> None:
        super().__init__(connector)
        self.slots = Slots()
        self.away: Callable[[], Collection[str]] = tuple
        self.begun: dict[int, Attempt | None] = {}
        self.left: set[int | None] = set()
        self.blocked = asyncio.Event()
        self._look_for_jobs: Callable[[], Awaitable[None]] | None = None
        self._connector = connector
        self._notified = 0
        self._unsure_until = 0.0
        self._lost_at: float | None = None

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> QueueJob | None:
        while True:
            notified = self._notified
            try:
                self._forget_unbegun()
                if time.monotonic() < self._unsure_until:
                    await self._put_back(worker_id)
                away = self.away()  # first: jobs whose bucket is back want their slots then
                self.slots.fill()
                if not (free := self.slots.free_kinds()):
                    return None
                taken = await fetch.take(self._connector.pool, worker_id, free, self.blocked, away)
            except ForeignKeyViolation as pruned:
                raise ConnectorException("this worker was considered stalled; it starts again") from pruned
            except CONNECTION_ERRORS as lost:
                self._note_loss(lost)
                return None
            self._note_answer()
            if taken:
                entry, attempt = taken
                self.slots.add(entry["id"], entry["task_name"])
                self.begun[entry["id"]] = attempt
                return QueueJob.from_row(entry)
            if notified == self._notified:
                return None  # procrastinate now forgets what it was notified of meanwhile

    def _note_loss(self, lost: Exception) -> None:
        now = time.monotonic()
        self._unsure_until = now + UNSURE_SECONDS
        if self._lost_at is None:
            self._lost_at = now
            log.warning("the database does not answer: %s; no job is taken until that is over", one_line(lost))

    def _note_answer(self) -> None:
        if self._lost_at is not None:
            log.info("the database answers again after %.0f s", time.monotonic() - self._lost_at)
            self._lost_at = None

    def _forget_unbegun(self) -> None:
        """What was taken before this look has begun to run by now, unless its task was cancelled before its first step:
        such a task is never run, and its end is never written.
        """
        if self.begun:
            for entry in self.begun:
                self.slots.remove(entry)
            self.begun.clear()
            self._unsure_until = time.monotonic() + UNSURE_SECONDS

    async def _put_back(self, worker_id: int) -> None:
        """Put back what this worker has, but does not run: it took it, or ended it, and lost the database before the
        answer came, or it was cancelled before it ran. A living worker is not searched for left jobs.
        """
        async with self._connector.pool.connection() as connection:
            await connection.execute(
                """
                update procrastinate_jobs set status = 'todo', worker_id = null, abort_requested = false
                where worker_id = %s and status = 'doing' and id <> all(%s)
                """,
                (worker_id, self.slots.entries),
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

        async def look_for_jobs() -> None:
            await count(channel="", notification={"type": "job_inserted", "job_id": 0})

        self._look_for_jobs = look_for_jobs
        while True:
            try:
                await super().listen_for_jobs(on_notification=count, queues=queues)
            except ConnectorException as lost:
                log.debug("not notified of new jobs: %s", lost)
            await asyncio.sleep(REOPEN_SECONDS)

    async def look_for_jobs(self) -> None:
        """There may be a job, or a slot for one: by itself, the worker looks only if it ran as many as it can, of all
        kinds.
        """
        if self._look_for_jobs:
            await self._look_for_jobs()

    async def finish_job(self, job: QueueJob, status: Status, delete_job: bool) -> None:
        """Take the job out of the queue, if its end has not; back to its position if the database was lost before it
        was decided.
        """
        try:
            if job.id not in self.left:
                await self._finish(job)
        except ConnectorException:
            self._unsure_until = time.monotonic() + UNSURE_SECONDS
            raise
        finally:
            self.slots.remove(job.id)
            self.left.discard(job.id)
            await self.look_for_jobs()

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
                update procrastinate_jobs entry set status = 'todo', worker_id = null, abort_requested = false,
                    scheduled_at = now() + make_interval(secs => %(pause)s)
                from jobs j
                where entry.id = %(id)s and entry.worker_id = %(worker)s and j.id = (entry.args->>'job')::bigint
                    and j.queue_job = entry.id and j.state = any(%(unfinished)s)
                returning entry.id
            ), gone as (
                delete from procrastinate_jobs
                where id = %(id)s and worker_id = %(worker)s and not exists (select from undecided)
            )
            select wake.* from ({WAKE}) wake where exists (select from queue_rules where max_running is not null)
            """,
            id=job.id,
            worker=job.worker_id,
            pause=REOPEN_SECONDS,
            unfinished=list(UNFINISHED),
        )


class Queue(QueueEntries):
    """The queue as :class:`orchestrator.worker.worker.Worker` needs it, which takes jobs out."""

    def __init__(self, pool: Pool, worker_timeout: float = 20) -> None:
        super().__init__(pool, worker_timeout)
        connector = procrastinate.PsycopgConnector()
        self._manager = _Manager(connector)
        self.app = procrastinate.App(connector=connector)
        self.app.job_manager = self._manager

    async def open(self) -> None:
        """Must be awaited before anything else."""
        await self.app.open_async(self._pool)

    def take_kinds(self, kinds: Mapping[str, Callable[[], int]]) -> None:
        """Say which kinds of work the worker of this process takes, each with how many at the same time, as of now."""
        self._manager.slots.kinds = kinds

    def skip(self, away: Callable[[], Collection[str]]) -> None:
        """Say of which buckets the worker of this process skips the jobs
        (:func:`orchestrator.queue.bucket_queues.bucket_jobs`), as of now.
        """
        self._manager.away = away

    @property
    def slots(self) -> Slots:
        """Of the worker of this process."""
        return self._manager.slots

    async def leave_slot(self, entry: int) -> None:
        """Let another job be taken while this one waits."""
        self.slots.leave(entry)
        await self._manager.look_for_jobs()

    def begun(self, entry: int) -> Attempt | None:
        """The attempt of an entry that was taken, if that has begun; to be asked once."""
        return self._manager.begun.pop(entry, None)

    def note_left(self, entry: int) -> None:
        """An entry that a worker of this process works on has left the queue."""
        self._manager.left.add(entry)

    @property
    def blocked(self) -> asyncio.Event:
        """Set when there was no job to take, but one may be behind those that are skipped: :meth:`sort` finds it."""
        return self._manager.blocked

    async def sort(self) -> None:
        """Bring forward what may start from behind skipped jobs; done regularly, no job waits for a skipped one."""
        await backlog.sort(self._pool, list(self.slots.kinds), self.blocked, self._manager.away)
