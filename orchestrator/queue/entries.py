"""The entries of the queue: put in, withdrawn, and how many workers there are to take them out."""

from collections.abc import Sequence

from orchestrator.database.pool import Pool
from orchestrator.database.sql import Connection, fetch_value
from orchestrator.jobs import versions
from orchestrator.jobs.models import Options
from orchestrator.jobs.versions import NEXT_ENTRY
from orchestrator.queue.order import sub_queue_of

_ENTER = f"""
    insert into procrastinate_jobs (id, queue_name, task_name, priority, args, savepath, bucket, scheduled_at)
    select j.queue_job, {sub_queue_of("j.kind", "j.savepath")}, j.kind, j.priority,
        jsonb_build_object('job', j.id), j.savepath, j.bucket,
        case when %(delay)s > 0 then now() + make_interval(secs => %(delay)s) end
"""
"""Entries as ``procrastinate_defer_jobs_v1`` makes them, with numbers of its sequence, and with what is known of the
recording; ``j`` are the jobs, with the savepaths and buckets of their recordings."""


class QueueEntries:
    """Puts jobs into the queue, in SQL that writes procrastinate's table: importing procrastinate itself takes a
    quarter of a second, which only a worker spends, and its function for this costs twice as much for each job.

    Args:
        pool: an open pool, shared with everything else of this process.
        worker_timeout: silence in seconds after which a worker is considered stalled.
    """

    def __init__(self, pool: Pool, worker_timeout: float = 20) -> None:
        self.worker_timeout = worker_timeout
        self._pool = pool

    async def put_first(
        self, connection: Connection, bucket: str, savepaths: Sequence[str], options: Options, priority: int
    ) -> list[str]:
        """Record those of these recordings that are not, with their transcriptions, and queue those; which are.

        Raises:
            psycopg.errors.UniqueViolation: another transaction has recorded one meanwhile.
        """
        recorded = await connection.execute(
            f"""
            with {versions.FIRST}, entered as ({_ENTER} from (select *, %(bucket)s::text as bucket from first) j)
            select savepath from wanted where recorded
            """,
            {**versions.first(bucket, savepaths, options, priority), "delay": 0},
            prepare=None if len(savepaths) == 1 else False,  # many are planned for the tables as large as they are now
        )
        return [savepath async for (savepath,) in recorded]

    async def put_new(self, connection: Connection, ids: Sequence[int]) -> None:
        """Queue jobs that the transaction of ``connection`` has made, with the number of an entry."""
        if ids:
            await connection.execute(
                f"""
                {_ENTER} from (
                    select j.*, m.savepath, m.bucket from jobs j left join media m on m.id = j.media_id
                    where j.id = any(%(ids)s)
                ) j order by j.id
                """,
                {"delay": 0, "ids": list(ids)},
            )

    async def put(self, connection: Connection, ids: Sequence[int], delay_seconds: float = 0) -> None:
        """Queue jobs, in the transaction of ``connection``, each with its own kind and priority, and as a new entry."""
        if ids:
            await connection.execute(
                f"""
                with renewed as (
                    update jobs set queue_job = {NEXT_ENTRY} where id = any(%(ids)s)
                    returning id, kind, media_id, priority, queue_job
                )
                {_ENTER} from (
                    select renewed.*, m.savepath, m.bucket from renewed left join media m on m.id = media_id
                ) j order by j.id
                """,
                {"delay": delay_seconds, "ids": list(ids)},
            )

    async def withdraw(self, connection: Connection, queue_jobs: Sequence[int]) -> None:
        """Take entries out of the queue; a worker that runs one of them stops it."""
        await connection.execute(
            "select procrastinate_cancel_job_v1(id, true, true) from unnest(%s::bigint[]) as id", (list(queue_jobs),)
        )

    async def count_workers(self) -> int:
        """How many workers show a heartbeat, on this host or another."""
        async with self._pool.connection() as connection:
            return int(
                await fetch_value(
                    connection,
                    """
                    select count(*) from procrastinate_workers
                    where last_heartbeat > now() - make_interval(secs => %s)
                    """,
                    (self.worker_timeout,),
                )
            )
