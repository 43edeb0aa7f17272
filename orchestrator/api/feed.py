"""Changes of jobs as they are committed, for any number of followers: one connection listens for all of them.

Triggers of our tables notify. All that is kept for a follower is the newest state of each job that was not sent
yet. One that cannot keep up, or whose source broke off, is dropped: it comes back, and reads what it missed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from psycopg import AsyncConnection

from orchestrator.database import sql
from orchestrator.database.pool import CONNECTION, CONNECTION_ERRORS, Pool
from orchestrator.errors import DatabaseUnavailable
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs import stats
from orchestrator.jobs.models import TRANSCRIBE, Job, State
from reelscribe.errors import Busy

log = logging.getLogger(__name__)

CHANNEL = "reelscribe_jobs"
GATHER_SECONDS = 0.2
"""Changes that follow each other within this time are sent together."""
TOTALS_SECONDS = 2.0
"""How often the jobs of each state are counted, at most."""
MOST_FOLLOWERS = 100
MOST_PENDING = 2_000
"""Jobs that one follower may lag behind."""
MOST_NOTIFIED = 20_000
"""Jobs that may change within ``GATHER_SECONDS``."""

Totals = dict[State, int]


class Follower:
    """What has not been sent to one client yet.

    Args:
        job: the one it follows, of whatever kind; None for all transcriptions.
    """

    def __init__(self, job: int | None) -> None:
        self.job = job
        self.dropped = False
        self._jobs: dict[int, Job] = {}
        self._totals: Totals | None = None
        self._news = asyncio.Event()

    async def news(self, seconds: float) -> None:
        """Wait until there is something to send, or the follower was dropped, but no longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    def take(self) -> tuple[list[Job], Totals | None]:
        """All that is to be sent now."""
        taken = list(self._jobs.values()), self._totals
        self._jobs, self._totals = {}, None
        if not self.dropped:
            self._news.clear()
        return taken

    def tell(self, jobs: Iterable[Job], totals: Totals | None) -> None:
        """Note changes."""
        if self.job is None:
            self._totals = totals or self._totals
        self._jobs.update({job.id: job for job in jobs if self._follows(job)})
        if len(self._jobs) > MOST_PENDING:
            self.drop()
        elif self._jobs or self._totals:
            self._news.set()

    def _follows(self, job: Job) -> bool:
        return job.kind == TRANSCRIBE if self.job is None else job.id == self.job

    def drop(self) -> None:
        """End it: it forgets everything, and its client has to come back."""
        self.dropped = True
        self._jobs.clear()
        self._news.set()


class Feed:
    """Listens while there are followers, and not longer."""

    def __init__(self, pool: Pool) -> None:
        self.followers: set[Follower] = set()
        self._pool = pool
        self._listening = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def follow(self, job: int | None = None) -> AsyncIterator[Follower]:
        """A follower that misses nothing which is committed from now on, or is dropped.

        Raises:
            Busy: there are too many.
            DatabaseUnavailable: there is nothing to listen to.
        """
        if len(self.followers) >= MOST_FOLLOWERS:
            raise Busy(f"{MOST_FOLLOWERS} streams of events are open already; close one, or try again", retry_after=10)
        follower = Follower(job)
        self.followers.add(follower)
        try:
            if self._listener is None or self._listener.done():
                self._listening = asyncio.Event()
                self._listener = asyncio.create_task(self._listen(self._listening), name="feed")
            await self._listening.wait()
            if follower.dropped:
                raise DatabaseUnavailable("the database does not answer; try again in a moment")
            yield follower
        finally:
            self.followers.discard(follower)
            if not self.followers and (listener := self._listener):
                self._listener = None
                listener.cancel()
                await asyncio.wait([listener])

    def drop_all(self) -> None:
        """End all streams."""
        for follower in self.followers:
            follower.drop()

    async def _listen(self, listening: asyncio.Event) -> None:
        assert isinstance(self._pool.conninfo, str)
        try:
            async with await AsyncConnection.connect(self._pool.conninfo, autocommit=True, **CONNECTION) as connection:
                await connection.execute(f"listen {CHANNEL}")
                listening.set()
                await self._pass_on(connection)
        except CONNECTION_ERRORS as lost:
            log.warning("events: the database went away: %s", " ".join(str(lost).split()))
            self.drop_all()
        except Exception:
            log.exception("events")
            self.drop_all()
        finally:
            listening.set()

    async def _pass_on(self, connection: sql.Connection) -> None:
        loop, counted, stale = asyncio.get_running_loop(), 0.0, False
        while True:
            payloads = await _notified(connection, TOTALS_SECONDS if stale else None)
            stale = stale or bool(payloads)
            if len(payloads) > MOST_NOTIFIED:
                log.warning("events: %d jobs changed together; all streams start again", len(payloads))
                self.drop_all()
                continue
            totals = None
            async with self._pool.connection() as reading:
                jobs = await job_queries.jobs_by_id(reading, sorted(self._followed(payloads)))
                if stale and loop.time() >= counted + TOTALS_SECONDS:
                    totals, counted, stale = await stats.count_by_state(reading), loop.time(), False
            changed, found = {int(payload) for payload in payloads if payload}, {job.id for job in jobs}
            for follower in self.followers:
                follower.tell(jobs, totals)
                if follower.job in changed - found:  # it has been removed: there is nothing more to follow
                    follower.drop()

    def _followed(self, payloads: set[str]) -> set[int]:
        """Those of the changed jobs that a client follows."""
        changed = {int(payload) for payload in payloads if payload}
        followed = {follower.job for follower in self.followers}
        return changed if None in followed else {id for id in changed if id in followed}


async def _notified(connection: sql.Connection, seconds: float | None) -> set[str]:
    """What the next notifications carry; nothing, where none comes within ``seconds``."""
    first = {notify.payload async for notify in connection.notifies(timeout=seconds, stop_after=1)}
    if not first:
        return first
    return first | {notify.payload async for notify in connection.notifies(timeout=GATHER_SECONDS)}
