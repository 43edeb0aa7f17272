"""Recordings that an event, a watched folder or a listing reports as gone: that is noted, or they are forgotten.

An event may come late, when there is an object of that name again; so the extractor is asked before anything is noted.
A bucket that is empty all of a sudden is no proof: its disk may not be mounted.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from functools import partial

from orchestrator.database.pool import Pool
from orchestrator.intake.bucket import Objects
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs import removed_objects
from orchestrator.jobs.deletion import Deleted
from reelscribe.savepath import mistake_in

log = logging.getLogger(__name__)

Existing = Callable[[Sequence[str]], Awaitable[Collection[str]]]
Delete = Callable[[str, Sequence[str], Existing], Awaitable[Deleted]]
"""Forgets those of these savepaths of a bucket that do not exist once no job can be added to them."""


class RemovedObjects:
    """What is known of recordings that are gone.

    Args:
        objects: knows which exist.
        delete: what is done with those that are gone; None: they are kept, and shown as gone.
    """

    def __init__(self, pool: Pool, objects: Objects, delete: Delete | None = None) -> None:
        self._pool = pool
        self._objects = objects
        self._delete = delete

    async def check(self, bucket: str, paths: Sequence[str]) -> int:
        """Note those of these savepaths and folders that are gone; how many there are. None are, as long as the bucket
        has no object at all.

        Raises:
            ServiceError: the extractor does not answer, or a stored result cannot be removed.
        """
        storable = [path for path in paths if not mistake_in(path)]
        async with self._pool.connection() as connection:
            known = await removed_objects.known_at(connection, bucket, storable)
        if not known:
            return 0
        there = await self._objects.identities(bucket, known)
        gone = [savepath for savepath in known if savepath not in there]
        if not gone or (not there and not await self._objects.exist(bucket)):
            return 0
        async with self._pool.connection() as connection:
            await removed_objects.mark(connection, bucket, gone)
        await self._forget(bucket, gone)
        return len(gone)

    async def check_listed(
        self, bucket: str, prefix: str, after: str, until: str | None, listed: Collection[str], began: datetime
    ) -> int:
        """Note what a part of a listing lacks, from ``after`` (exclusive) to ``until`` (inclusive); how many of it
        were not known to be gone.

        What is to be forgotten is only noted the first time: a listing that began later must lack it too.
        """
        async with self._pool.connection() as connection:
            known = await removed_objects.known_between(connection, bucket, prefix, after, until)
        gone = {savepath: since for savepath, since in known.items() if savepath not in listed}
        if not gone or not await self._objects.exist(bucket):
            return 0
        forgotten = [savepath for savepath, since in gone.items() if self._delete and since and since < began]
        async with self._pool.connection() as connection:
            newly = await removed_objects.mark(connection, bucket, list(gone))
        await self._forget(bucket, forgotten)
        return newly

    async def began(self) -> datetime:
        """The time at which a listing begins, by the clock of the database."""
        async with self._pool.connection() as connection:
            return await job_queries.now(connection)

    async def _forget(self, bucket: str, gone: Sequence[str]) -> None:
        if gone and self._delete:
            deleted = await self._delete(bucket, gone, partial(self._objects.identities, bucket))
            log.info("bucket %s: %d removed recording(s) forgotten", bucket, deleted.savepaths)
