"""Finds what dead workers left in the queue and gives it to others."""

import time
from datetime import datetime

from orchestrator.database.pool import Pool
from orchestrator.jobs.models import UNFINISHED
from orchestrator.jobs.transitions import FORGET_ERROR
from orchestrator.queue.procrastinate import Queue

_STALLED = "j.status = 'doing' and j.worker_id is null"
"""The row of its worker is gone: procrastinate and :meth:`Sweeper._bury` remove it, and so the worker's number here."""


class Sweeper:
    """Looks after all workers of the queue, those on other hosts too.

    No clocks are compared: a worker is dead once its heartbeat has stood still for a time measured here. That takes
    calls of :meth:`sweep` in short intervals; where there was none for half that time, the watch begins anew.

    Args:
        queue: whose ``worker_timeout`` is that time.
        max_failures: losses of its worker after which a job that came no further is failed.
    """

    def __init__(self, pool: Pool, queue: Queue, max_failures: int) -> None:
        self._pool = pool
        self._queue = queue
        self._worker_timeout = queue.worker_timeout
        self._max_failures = max_failures
        self._heartbeats: dict[int, tuple[datetime, float]] = {}
        self._watched_at = time.monotonic()

    async def sweep(self) -> list[int]:
        """Queue again what dead workers left, and fail what has killed too many of them; their ids.

        Each such job counts as one more failure. Its attempt's number goes up, so that a worker which was only thought
        dead can write nothing more.
        """
        await self._bury()
        async with self._pool.connection() as connection:
            await connection.execute(
                f"""
                delete from procrastinate_jobs j where {_STALLED} and not exists (
                    select from transcriptions t where t.id = (j.args->>'transcription')::bigint
                        and t.queue_job = j.id and t.state = any(%s)
                )
                """,
                (list(UNFINISHED),),
            )
            cursor = await connection.execute(
                f"""
                select (j.args->>'transcription')::bigint from procrastinate_jobs j where {_STALLED}
                union
                select t.id from transcriptions t where t.state in ('running', 'waiting')
                    and not exists (select from procrastinate_jobs j where j.id = t.queue_job)
                """
            )
            suspects = [row[0] for row in await cursor.fetchall()]
        return [id for id in suspects if await self._take_back(id)]

    async def _bury(self) -> None:
        """Remove the rows of dead workers. One that lives after all is refused the next job, and begins anew."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute("select id, last_heartbeat from procrastinate_workers")
            now, known = time.monotonic(), self._heartbeats
            if now - self._watched_at > self._worker_timeout / 2:
                known = {}
            self._watched_at = now
            self._heartbeats = {
                id: known[id] if id in known and known[id][0] == heartbeat else (heartbeat, now)
                for id, heartbeat in await cursor.fetchall()
            }
            dead = [id for id, (_, since) in self._heartbeats.items() if now - since >= self._worker_timeout]
            if dead:
                await connection.execute(
                    """
                    delete from procrastinate_workers w
                    using unnest(%s::bigint[], %s::timestamptz[]) as dead (id, heartbeat)
                    where w.id = dead.id and w.last_heartbeat = dead.heartbeat
                    """,
                    (dead, [self._heartbeats[id][0] for id in dead]),
                )

    async def _take_back(self, id: int) -> bool:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                f"""
                select t.queue_job, t.failures + 1 from transcriptions t
                where t.id = %s and t.state = any(%s) and not exists (
                    select from procrastinate_jobs j where j.id = t.queue_job and not ({_STALLED})
                ) for update of t skip locked
                """,
                (id, list(UNFINISHED)),
            )
            if (row := await cursor.fetchone()) is None:
                return False  # another worker was faster
            queue_job, failures = row
            await connection.execute("delete from procrastinate_jobs where id = %s", (queue_job,))
            if failures >= self._max_failures:
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
                await self._queue.put(connection, [id])
            return True
