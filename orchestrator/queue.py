"""The queue: procrastinate on our own PostgreSQL, so that recording a job and queueing it are one transaction.

A transcription names its one queue job (``queue_job``). Only that one may begin an attempt; whatever gives the work to
another queue job (a retry, a sweep) changes the name in the same transaction. The queue holds unfinished work only.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import procrastinate
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as QueueJob
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from orchestrator.database import Pool
from orchestrator.jobs import UNFINISHED
from orchestrator.store import FORGET_ERROR, Connection

QUEUE = "transcriptions"
TASK = "transcribe"
HEARTBEAT_SECONDS = 5.0
STALLED_SECONDS = 20.0
"""A worker whose heartbeat is older than this is taken for dead."""


_STALLED = """
    j.status = 'doing' and not exists (
        select from procrastinate_workers w
        where w.id = j.worker_id and w.last_heartbeat > now() - make_interval(secs => %(stalled)s)
    )
"""


@contextmanager
def _own_errors() -> Iterator[None]:
    """psycopg's errors as they were: procrastinate hides which of them a new connection cures."""
    try:
        yield
    except ConnectorException as hidden:
        raise hidden.__cause__ or hidden from None


class _Manager(JobManager):
    """Deletes what is finished, and minds no job that is gone: a sweep may have given it to another worker."""

    # A job that stays behind under a living worker would be found by no sweep.
    @retry(
        retry=retry_if_exception_type(ConnectorException),
        wait=wait_fixed(1),
        stop=stop_after_delay(STALLED_SECONDS),
        reraise=True,
    )
    async def finish_job(self, job: QueueJob, status: Status, delete_job: bool) -> None:
        await self.connector.execute_query_async("delete from procrastinate_jobs where id = %(id)s", id=job.id)


class Queue:
    """Puts transcriptions into the queue; :class:`orchestrator.worker.Worker` takes them out.

    Args:
        pool: an open pool, shared with everything else of this process.
    """

    def __init__(self, pool: Pool) -> None:
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
        scheduled = datetime.now(timezone.utc) + timedelta(seconds=delay_seconds) if delay_seconds else None
        cursor = await connection.execute(
            "select id, priority from transcriptions where id = any(%s) order by id", (list(ids),)
        )
        jobs = [
            QueueJob(
                queue=QUEUE,
                task_name=TASK,
                lock=None,
                queueing_lock=None,
                priority=priority,
                task_kwargs={"transcription": id},
                scheduled_at=scheduled,
            )
            for id, priority in await cursor.fetchall()
        ]
        with _own_errors():
            queued = await self.app.job_manager.batch_defer_jobs_async(jobs, connection=connection)
        await connection.execute(
            """
            update transcriptions t set queue_job = queued.job
            from unnest(%s::bigint[], %s::bigint[]) as queued (transcription, job) where t.id = queued.transcription
            """,
            ([job.task_kwargs["transcription"] for job in queued], [job.id for job in queued]),
        )

    async def withdraw(self, connection: Connection, queue_jobs: Sequence[int]) -> None:
        """Take jobs out of the queue; a worker that runs one of them stops it."""
        for queue_job in queue_jobs:
            with _own_errors():
                await self.app.job_manager.cancel_job_by_id_async(
                    queue_job, abort=True, delete_job=True, connection=connection
                )

    async def count_workers(self) -> int:
        """How many workers show a heartbeat, on this host or another."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select count(*) from procrastinate_workers where last_heartbeat > now() - make_interval(secs => %s)",
                (STALLED_SECONDS,),
            )
            row = await cursor.fetchone()
        return row[0] if row else 0

    async def sweep(self, max_failures: int) -> list[int]:
        """Queue again what dead workers left, and fail what has killed ``max_failures`` of them; their ids.

        Each such job counts as one more failure. Its number goes up, so that a worker which was only thought dead can
        write nothing more.
        """
        parameters = {"queue": QUEUE, "stalled": STALLED_SECONDS, "unfinished": list(UNFINISHED)}
        async with self._pool.connection() as connection:
            await connection.execute(
                f"""
                delete from procrastinate_jobs j where j.queue_name = %(queue)s and {_STALLED} and not exists (
                    select from transcriptions t where t.id = (j.args->>'transcription')::bigint
                        and t.queue_job = j.id and t.state = any(%(unfinished)s)
                )
                """,
                parameters,
            )
            cursor = await connection.execute(
                f"""
                select (j.args->>'transcription')::bigint from procrastinate_jobs j
                where j.queue_name = %(queue)s and {_STALLED}
                union
                select t.id from transcriptions t where t.state in ('running', 'waiting')
                    and not exists (select from procrastinate_jobs j where j.id = t.queue_job)
                """,
                parameters,
            )
            suspects = [row[0] for row in await cursor.fetchall()]
        return [id for id in suspects if await self._take_back(id, max_failures)]

    async def _take_back(self, id: int, max_failures: int) -> bool:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                f"""
                select t.queue_job, t.failures + 1 from transcriptions t
                where t.id = %(id)s and t.state = any(%(unfinished)s) and not exists (
                    select from procrastinate_jobs j where j.id = t.queue_job and not ({_STALLED})
                ) for update of t skip locked
                """,
                {"id": id, "stalled": STALLED_SECONDS, "unfinished": list(UNFINISHED)},
            )
            if (row := await cursor.fetchone()) is None:
                return False  # another worker was faster
            queue_job, failures = row
            await connection.execute("delete from procrastinate_jobs where id = %s", (queue_job,))
            if failures >= max_failures:
                await connection.execute(
                    """
                    update transcriptions set state = 'failed', attempt = attempt + 1, failures = %s,
                        finished_at = now(), error_code = 'worker_lost', error_message = %s
                    where id = %s
                    """,
                    (failures, f"the worker that ran it was lost {failures} times; see its log, then retry", id),
                )
            else:
                await connection.execute(
                    f"""
                    update transcriptions set state = 'queued', attempt = attempt + 1, failures = %s, {FORGET_ERROR}
                    where id = %s
                    """,
                    (failures, id),
                )
                await self.put(connection, [id])
            return True
