"""Buckets whose recordings cannot be read now: the first of their jobs tries again, the others leave their slots."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from orchestrator.jobs.attempts import Attempt
from orchestrator.queue.bucket_queues import bucket_jobs
from orchestrator.queue.procrastinate import Queue
from orchestrator.worker.kinds import Kind


@dataclass
class _Waiting:
    attempt: Attempt
    is_back: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def waits(self) -> bool:
        return not (self.attempt.reading or self.is_back.is_set())


class AwayBuckets:
    """The jobs of one kind that wait for their buckets, in the order in which they began to.

    No other job of such a bucket is taken. If none waits for it any more, the next that is taken tries it.
    """

    def __init__(self, kind: Kind, queue: Queue) -> None:
        self._kind = kind
        self._queue = queue
        self._waiting: dict[str, dict[int, _Waiting]] = {}
        """By bucket and entry: what is asked for each job that is taken does not take longer the more of them wait."""

    def names(self) -> list[str]:
        """Jobs of the buckets that are away. The jobs that wait for others continue, and want their slots again
        before another job is taken.
        """
        return sorted(bucket_jobs(self._kind.name, bucket) for bucket in self._waiting if self._is_away(bucket))

    async def wait(self, attempt: Attempt, seconds: float) -> bool:
        """Wait without a slot for so long, or until the bucket is back; whether it is."""
        one = self._waiting.setdefault(attempt.bucket, {}).setdefault(attempt.queue_job, _Waiting(attempt))
        one.is_back.clear()
        attempt.reading = False
        await self._queue.leave_slot(attempt.queue_job)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await one.is_back.wait()
            self._is_away(attempt.bucket)
            if one.is_back.is_set() or self._first(attempt.bucket) is one:
                return one.is_back.is_set()

    def forget(self, attempt: Attempt) -> None:
        """A job is over."""
        if waiting := self._waiting.get(attempt.bucket):
            waiting.pop(attempt.queue_job, None)
            if not waiting:
                del self._waiting[attempt.bucket]

    def _is_away(self, bucket: str) -> bool:
        """Whether it is, and a job waits for it; if it is back, all that wait for it continue."""
        if not self._first(bucket):
            return False
        if self._kind.away(bucket):
            return True
        for entry, one in self._waiting[bucket].items():
            if one.waits:
                one.is_back.set()
                self._queue.slots.want(entry)
        return False

    def _first(self, bucket: str) -> _Waiting | None:
        return next((one for one in self._waiting.get(bucket, {}).values() if one.waits), None)
