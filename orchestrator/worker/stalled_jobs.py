"""Finds what stalled workers left in the queue and has others continue it."""

import time
from datetime import datetime

from orchestrator.database.pool import Pool
from orchestrator.jobs import transitions
from orchestrator.queue import stalled
from orchestrator.queue.entries import QueueEntries


class Sweeper:
    """Watches all workers of the queue, those on other hosts too.

    No clocks are compared: a worker is stalled once its heartbeat has not changed for a time measured here. That takes
    calls of :meth:`sweep` in short intervals; if there was none for half that time, the watch starts again.

    Args:
        queue: whose ``worker_timeout`` is that time.
        max_failures: losses of its worker after which a job without progress is failed.
    """

    def __init__(self, pool: Pool, queue: QueueEntries, max_failures: int) -> None:
        self._pool = pool
        self._queue = queue
        self._worker_timeout = queue.worker_timeout
        self._max_failures = max_failures
        self._heartbeats: dict[int, tuple[datetime, float]] = {}
        self._watched_at = time.monotonic()

    async def sweep(self) -> list[int]:
        """Queue again what stalled workers left, and fail what has stalled too many of them; the ids.

        Each such job counts one more failure, and ends its attempt: a worker that was only considered stalled can
        write nothing more.
        """
        await self._prune_workers()
        async with self._pool.connection() as connection:
            await stalled.drop_ended(connection)
            suspects = await stalled.suspects(connection)
        return [id for id in suspects if await self._take_back(id)]

    async def _prune_workers(self) -> None:
        async with self._pool.connection() as connection:
            heartbeats = await stalled.heartbeats(connection)
            now, known = time.monotonic(), self._heartbeats
            if now - self._watched_at > self._worker_timeout / 2:
                known = {}
            self._watched_at = now
            self._heartbeats = {
                id: known[id] if id in known and known[id][0] == heartbeat else (heartbeat, now)
                for id, heartbeat in heartbeats.items()
            }
            silent = {
                id: heartbeat
                for id, (heartbeat, since) in self._heartbeats.items()
                if now - since >= self._worker_timeout
            }
            if silent:
                await stalled.prune_workers(connection, silent)

    async def _take_back(self, id: int) -> bool:
        async with self._pool.connection() as connection:
            left = await stalled.take_from(connection, id)
            if left is None:
                return False
            if await transitions.lose_worker(connection, id, left.failures, self._max_failures):
                await self._queue.put(connection, [id])
            return True
