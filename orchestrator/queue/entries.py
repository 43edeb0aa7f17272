"""The entries of the queue: put in, withdrawn, and how many workers there are to take them out."""

from collections.abc import Sequence

from orchestrator.database.pool import Pool
from orchestrator.database.sql import Connection, fetch_value
from orchestrator.queue.order import savepath_of, sub_queue_of


class QueueEntries:
    """Puts jobs into the queue, in SQL that calls procrastinate's functions: importing procrastinate itself takes a
    quarter of a second, which only a worker spends.

    Args:
        pool: an open pool, shared with everything else of this process.
        worker_timeout: silence in seconds after which a worker is considered stalled.
    """

    def __init__(self, pool: Pool, worker_timeout: float = 20) -> None:
        self.worker_timeout = worker_timeout
        self._pool = pool

    async def put(self, connection: Connection, ids: Sequence[int], delay_seconds: float = 0) -> None:
        """Queue jobs, in the transaction of ``connection``, each with its own kind and priority."""
        if not ids:
            return
        await connection.execute(
            f"""
            with wanted as (
                select array_agg(id order by id) as ids, array_agg(
                    row (
                        {sub_queue_of("kind", savepath_of("j.id"))}, kind, priority, null, null,
                        jsonb_build_object('job', id),
                        case when %(delay)s > 0 then now() + make_interval(secs => %(delay)s) end
                    )::procrastinate_job_to_defer_v1 order by id
                ) as entries
                from jobs j where id = any(%(ids)s)
            ),
            queued as (select ids, procrastinate_defer_jobs_v1(entries) as queue_jobs from wanted)
            update jobs j set queue_job = placed.queue_job
            from queued, unnest(queued.ids, queued.queue_jobs) as placed (id, queue_job) where j.id = placed.id
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
