"""How much audio was transcribed in the last day. What has been added up once is kept, and only what is new read."""

import asyncio
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from pydantic import Field

from orchestrator.database.pool import Pool
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import Record
from orchestrator.jobs.throughput import INTERVAL_SECONDS, Ended, ended_after

INTERVALS = 96
WORK_SECONDS = 0.2
"""Of one request; what is not read then, the next one reads."""


class Throughput(Record):
    """Answer of ``GET /api/throughput``: one number for each interval, the oldest first."""

    since: datetime = Field(description="the start of the first interval")
    interval_seconds: int
    audio_seconds: list[float] = Field(description="of the transcriptions that were finished in each interval")
    jobs: list[int] = Field(description="how many those were")
    complete: bool = Field(description="false: there are more that have not been added up yet; ask again")


class ThroughputSums:
    """The sums of the last day, of one database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._read_to: Ended | None = None
        self._seconds: defaultdict[int, float] = defaultdict(float)
        self._jobs: defaultdict[int, int] = defaultdict(int)
        self._reading = asyncio.Lock()

    async def latest(self) -> Throughput:
        """The sums as they are now, after reading for :data:`WORK_SECONDS` at most."""
        async with self._reading, self._pool.connection() as connection:
            now = await job_queries.now(connection)
            first = int(now.timestamp()) // INTERVAL_SECONDS - INTERVALS + 1
            since = datetime.fromtimestamp(first * INTERVAL_SECONDS, UTC)
            if self._read_to is None or self._read_to.when < since:
                self._read_to = Ended(since - timedelta(microseconds=1), 0)
            self._forget_before(first)
            complete, deadline = False, time.monotonic() + WORK_SECONDS
            while not complete and time.monotonic() < deadline:
                page = await ended_after(connection, self._read_to)
                for interval in page.intervals:
                    self._seconds[interval.number] += interval.seconds
                    self._jobs[interval.number] += interval.jobs
                self._read_to = page.last or self._read_to
                complete = page.last is None
        shown = range(first, first + INTERVALS)
        return Throughput(
            since=since,
            interval_seconds=INTERVAL_SECONDS,
            audio_seconds=[round(self._seconds.get(number, 0.0), 3) for number in shown],
            jobs=[self._jobs.get(number, 0) for number in shown],
            complete=complete,
        )

    def _forget_before(self, first: int) -> None:
        for number in [number for number in self._jobs if number < first]:
            del self._jobs[number], self._seconds[number]
