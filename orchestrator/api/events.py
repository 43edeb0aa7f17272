"""Server-sent events: jobs as they change, for as long as a client listens."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from orchestrator.api.feed import Follower, Totals
from orchestrator.api.handlers import OrchestratorHandler
from orchestrator.database.pool import Pool
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs import stats
from orchestrator.jobs.models import Job
from reelscribe.errors import BadRequest, JobNotFound

EVENT_STREAM = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
RECONNECT_SECONDS = 2
OVERLAP = timedelta(minutes=2)
"""What ended within this time before the last event is sent again: its transaction may have been the slower one."""
PAGE = 500
MOST_RUNNING = 1000


class Position(NamedTuple):
    """Where in the order of ends a client is; it is the id of an event."""

    when: datetime
    job: int

    def __str__(self) -> str:
        return f"{self.when.timestamp() * 1e6:.0f}.{self.job}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The position that an event had as its id.

        Raises:
            BadRequest: it is none.
        """
        if not re.fullmatch(r"[0-9]{1,16}\.[0-9]{1,18}", text):
            raise BadRequest("Last-Event-ID: it is the id of no event of this service; leave it out")
        microseconds, job = text.split(".")
        return cls(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(microseconds)), int(job))


def job_event(job: Job) -> str:
    """A job as it is now; the event has an id once the job has ended."""
    position = str(Position(job.finished_at, job.id)) if job.finished_at else None
    return _event("job", job.model_dump_json(), position)


def totals_event(totals: Totals, position: Position | None = None) -> str:
    """How many jobs are in which state."""
    return _event("totals", json.dumps(totals), str(position) if position else None)


def _event(name: str, data: str, id: str | None) -> str:
    return f"event: {name}\n" + (f"id: {id}\n" if id else "") + f"data: {data}\n\n"


class StreamHandler(OrchestratorHandler):
    """An answer that continues until its client leaves, loses its token or lags behind, or all has been sent."""

    follower: Follower | None = None
    _may_continue = True

    def lose_token(self) -> None:
        self._may_continue = False
        if self.follower:
            self.follower.drop()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self.follower:
            self.follower.drop()

    def last_event(self) -> Position | None:
        """The last event with an id that this client has seen before it came back."""
        given = self.request.headers.get("Last-Event-ID")
        return Position.parse(given) if given else None

    async def begin(self) -> None:
        """Send the headers."""
        self.set_header("Content-Type", EVENT_STREAM)
        self.set_header("Cache-Control", "no-store")
        self.do_not_buffer()
        await self.send(f"retry: {RECONNECT_SECONDS * 1000}\n\n")

    async def pass_on(self, follower: Follower, until_end: bool) -> None:
        """Send what the follower receives; ``until_end`` of its one job."""
        while self._may_continue and not follower.dropped:
            await follower.news(HEARTBEAT_SECONDS)
            jobs, totals = follower.take()
            news = "".join(map(job_event, jobs)) + (totals_event(totals) if totals else "")
            await self.send(news or ": heartbeat\n\n")
            if until_end and any(job.finished for job in jobs):
                return


class JobEventsHandler(StreamHandler):
    """``GET /api/jobs/{id}/events``: one job as it is and as it changes, until it ends."""

    async def get(self, id: str) -> None:
        seen = self.last_event()
        async with self.service.feed.follow(int(id)) as self.follower:
            async with self.service.pool.connection() as connection:
                jobs = await job_queries.jobs_by_id(connection, [int(id)])
            if not jobs:
                raise JobNotFound(f"there is no job {id}; GET /api/jobs lists them")
            [job] = jobs
            if job.finished_at and seen == Position(job.finished_at, job.id):
                self.set_status(204)  # all has been sent: an EventSource does not come back then
                return
            await self.begin()
            await self.send(job_event(job))
            if not job.finished:
                await self.pass_on(self.follower, until_end=True)
        self.finish()


class EventsHandler(StreamHandler):
    """``GET /api/events``: all jobs as they change; after ``Last-Event-ID``, first those that have ended since."""

    async def get(self) -> None:
        seen = self.last_event()
        async with self.service.feed.follow() as self.follower:
            async with self.service.pool.connection() as connection:
                now = await job_queries.now(connection)
                totals = await stats.count_by_state(connection)
                running = await job_queries.list_jobs(connection, "running", limit=MOST_RUNNING)
            await self.begin()
            if seen:
                async for jobs in _ended_since(self.service.pool, seen.when - OVERLAP):
                    await self.send("".join(map(job_event, jobs)))
            await self.send(totals_event(totals, Position(now, 0)) + "".join(map(job_event, running)))
            await self.pass_on(self.follower, until_end=False)
        self.finish()


async def _ended_since(pool: Pool, when: datetime) -> AsyncIterator[list[Job]]:
    after = Position(when, 0)
    while True:
        async with pool.connection() as connection:
            jobs = await job_queries.finished_since(connection, after.when, after.job, PAGE)
        if not jobs:
            return
        yield jobs
        assert jobs[-1].finished_at
        after = Position(jobs[-1].finished_at, jobs[-1].id)
