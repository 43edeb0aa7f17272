"""Events can be lost: a listing of the bucket, in intervals, finds what they missed."""

import asyncio
import logging
import time

from prometheus_client import CollectorRegistry, Counter, Gauge

from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.pool import CONNECTION_ERRORS, Pool, one_line, try_lock
from orchestrator.intake.bucket import Objects, identity
from orchestrator.intake.event_intake import EventIntake, Outcomes
from orchestrator.jobs import listings
from reelscribe.errors import ServiceError

log = logging.getLogger(__name__)

SOONEST_SECONDS = 1.0
RETRY_SECONDS = 60.0


class BucketListing:
    """Lists the buckets through the extractor; of all orchestrators on one database, one at a time does.

    Args:
        every: seconds from the end of one listing to the beginning of the next.
    """

    def __init__(
        self, pool: Pool, intake: EventIntake, objects: Objects, every: float, registry: CollectorRegistry
    ) -> None:
        self._pool = pool
        self._intake = intake
        self._objects = objects
        self._every = every
        self._outcomes = Counter(
            "reelscribe_listed_objects", "Objects of listings by what became of them", ["outcome"], registry=registry
        )
        self._listings = Counter("reelscribe_listings", "Listings of a bucket", ["outcome"], registry=registry)
        self._last = Gauge(
            "reelscribe_last_listing_timestamp_seconds", "When a complete listing ended", registry=registry
        )

    async def run(self) -> None:
        """List again and again, until cancelled."""
        logged = ""
        while True:
            try:
                pause = await self._list_what_is_due()
                logged = ""
                await asyncio.sleep(max(SOONEST_SECONDS, pause))
            except (ServiceError, *CONNECTION_ERRORS) as failed:
                if one_line(failed) != logged:
                    logged = one_line(failed)
                    log.warning("listing: %s; it is tried again until it succeeds", logged)
                await self._pause_after_failure()
            except Exception:  # what one object can cause must not stop all that runs with it
                log.exception("listing")
                await self._pause_after_failure()

    async def _pause_after_failure(self) -> None:
        self._listings.labels("failed").inc()
        await asyncio.sleep(min(self._every, RETRY_SECONDS))

    async def _list_what_is_due(self) -> float:
        """List the buckets whose time has come; seconds until the next one's."""
        async with try_lock(self._pool, AdvisoryLock.LISTING) as alone:
            if not alone:
                return self._every
            for bucket in self._intake.selection.buckets:
                if await self._seconds_left(bucket) <= 0:
                    await self._list(bucket)
            return min([await self._seconds_left(bucket) for bucket in self._intake.selection.buckets])

    async def _list(self, bucket: str) -> None:
        began, total, removed = time.monotonic(), Outcomes(), self._intake.removed
        began_at = await removed.began()
        for prefix in self._intake.selection.prefixes:
            after = ""
            async for page in self._objects.pages(bucket, prefix):
                outcomes = await self._intake.take(bucket, {listed.savepath: identity(listed) for listed in page})
                for outcome, count in outcomes.items():
                    self._outcomes.labels(outcome).inc(count)
                total += outcomes
                if page:
                    until = page[-1].savepath
                    listed = {found.savepath for found in page}
                    total["removed"] += await removed.check_listed(bucket, prefix, after, until, listed, began_at)
                    after = until
            total["removed"] += await removed.check_listed(bucket, prefix, after, None, (), began_at)
        async with self._pool.connection() as connection:
            await listings.note_listing(connection, bucket)
        self._listings.labels("complete").inc()
        self._last.set_to_current_time()
        summary = ", ".join(f"{count} {outcome}" for outcome, count in total.items() if count) or "nothing"
        log.info("listing: bucket %s in %.1f s: %s", bucket, time.monotonic() - began, summary)

    async def _seconds_left(self, bucket: str) -> float:
        async with self._pool.connection() as connection:
            ago = await listings.seconds_since_listing(connection, bucket)
        if ago is None or ago < 0:  # never, or the clock has been set back since: how long ago is not known
            return 0.0
        return self._every - ago
