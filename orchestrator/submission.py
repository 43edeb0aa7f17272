"""Submit, retry and cancel: each one transaction over our tables and the queue."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from orchestrator import store
from orchestrator.database import Pool
from orchestrator.jobs import Job, Options
from orchestrator.queue import Queue

CHUNK = 5_000
"""Savepaths of one transaction."""


class Submitted(NamedTuple):
    """A job and what the submission did: made it, queued it again, or found it."""

    job: Job
    outcome: Literal["new", "again", "known"]


class Desk:
    """Takes wishes for the queue."""

    def __init__(self, pool: Pool, queue: Queue) -> None:
        self._pool = pool
        self._queue = queue

    async def submit(
        self,
        bucket: str,
        savepaths: Sequence[str],
        options: Options,
        priority: int = 0,
        force: bool = False,
    ) -> list[Submitted]:
        """Have savepaths transcribed, in the order of their first mention.

        The same object with the same options is one job, however often it is submitted: one that is unfinished or done
        is returned as it is, one that failed or was cancelled goes on where it stopped. ``force`` makes a new version
        of it, and keeps the old transcript until the new one is done.
        """
        unique = list(dict.fromkeys(savepaths))
        submitted: list[Submitted] = []
        for first in range(0, len(unique), CHUNK):
            submitted += await self._submit(bucket, unique[first : first + CHUNK], options, priority, force)
        return submitted

    async def _submit(
        self, bucket: str, savepaths: list[str], options: Options, priority: int, force: bool
    ) -> list[Submitted]:
        async with self._pool.connection() as connection:
            if force:
                running = await store.supersede(connection, bucket, savepaths, options)
                await self._queue.withdraw(connection, running)
            new = set(await store.add(connection, bucket, savepaths, options, priority))
            known = await store.current_jobs(connection, bucket, savepaths, options)
            again = set(await store.reopen(connection, [job.id for job in known], priority))
            await self._queue.put(connection, [*new, *again])
            jobs = {job.savepath: job for job in await store.current_jobs(connection, bucket, savepaths, options)}
        return [
            Submitted(job, "new" if job.id in new else "again" if job.id in again else "known")
            for job in (jobs[savepath] for savepath in savepaths)
        ]

    async def retry(self, ids: Sequence[int]) -> list[int]:
        """Queue failed and cancelled jobs again; the ids of those that were."""
        async with self._pool.connection() as connection:
            reopened = await store.reopen(connection, ids)
            await self._queue.put(connection, reopened)
        return reopened

    async def cancel(self, ids: Sequence[int]) -> list[int]:
        """Cancel unfinished jobs, running ones included; the ids of those that were."""
        async with self._pool.connection() as connection:
            cancelled = await store.cancel(connection, ids)
            await self._queue.withdraw(connection, [job for job in cancelled.values() if job is not None])
        return list(cancelled)
