"""Events can be lost; a listing now and then finds what they missed."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge

from orchestrator.database.pool import TROUBLE, Pool, one_line
from orchestrator.intake.bucket import Objects, identity
from orchestrator.intake.event_intake import Intake, Outcomes
from reelscribe.errors import ServiceError

log = logging.getLogger(__name__)

LOCK = 0x7265_6C69
SOONEST_SECONDS = 1.0
RETRY_SECONDS = 60.0


class Reconciler:
    """Lists the buckets of the extractor, of all orchestrators on this database only one at a time.

    Args:
        every: seconds from the end of one listing to the beginning of the next.
    """

    def __init__(self, pool: Pool, intake: Intake, objects: Objects, every: float, registry: CollectorRegistry) -> None:
        self._pool = pool
        self._intake = intake
        self._objects = objects
        self._every = every
        self._outcomes = Counter(
            "reelscribe_listed_objects", "Objects of listings by what became of them", ["outcome"], registry=registry
        )
        self._listings = Counter("reelscribe_listings", "Listings of a bucket", ["outcome"], registry=registry)
        self._last = Gauge("reelscribe_last_listing_timestamp_seconds", "When a whole listing ended", registry=registry)

    async def run(self) -> None:
        """List again and again, until cancelled."""
        while True:
            try:
                await asyncio.sleep(max(SOONEST_SECONDS, await self._list_what_is_due()))
            except (ServiceError, *TROUBLE) as failed:
                log.warning("listing: %s", one_line(failed))
                await self._pause_after_failure()
            except Exception:  # what one object can cause must not stop all that runs beside us
                log.exception("listing")
                await self._pause_after_failure()

    async def _pause_after_failure(self) -> None:
        self._listings.labels("failed").inc()
        await asyncio.sleep(min(self._every, RETRY_SECONDS))

    async def _list_what_is_due(self) -> float:
        """List the buckets whose time has come; seconds until the next one's."""
        async with self._alone() as alone:
            if not alone:
                return self._every
            for bucket in self._intake.selection.buckets:
                if await self._seconds_left(bucket) <= 0:
                    await self._list(bucket)
            return min([await self._seconds_left(bucket) for bucket in self._intake.selection.buckets])

    async def _list(self, bucket: str) -> None:
        began, total = time.monotonic(), Outcomes()
        for prefix in self._intake.selection.prefixes:
            async for page in self._objects.pages(bucket, prefix):
                outcomes = await self._intake.take(bucket, {listed.savepath: identity(listed) for listed in page})
                for outcome, count in outcomes.items():
                    self._outcomes.labels(outcome).inc(count)
                total += outcomes
        async with self._pool.connection() as connection:
            await connection.execute(
                "insert into listings (bucket) values (%s) on conflict (bucket) do update set finished_at = now()",
                (bucket,),
            )
        self._listings.labels("whole").inc()
        self._last.set_to_current_time()
        told = ", ".join(f"{count} {outcome}" for outcome, count in total.items()) or "nothing"
        log.info("listing: bucket %s in %.1f s: %s", bucket, time.monotonic() - began, told)

    async def _seconds_left(self, bucket: str) -> float:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select extract(epoch from now() - finished_at)::float from listings where bucket = %s", (bucket,)
            )
            row = await cursor.fetchone()
        ago: float = row[0] if row else self._every
        return self._every - ago if ago >= 0 else 0.0  # the clock has been set back since: nobody knows how long ago

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[bool]:
        """Whether no other orchestrator is at it; PostgreSQL lets the lock go with the connection, however we end."""
        async with self._pool.connection() as connection:
            await connection.set_autocommit(True)
            [locked] = await (await connection.execute("select pg_try_advisory_lock(%s)", (LOCK,))).fetchone() or [
                False
            ]
            try:
                yield locked
            finally:
                if locked:
                    await connection.execute("select pg_advisory_unlock(%s)", (LOCK,))
                await connection.set_autocommit(False)
