"""Buckets whose recordings cannot be read now: the first of their jobs tries again, the others leave their slots."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from orchestrator.jobs.attempts import Attempt
from orchestrator.queue.bucket_queues import bucket_queue
from orchestrator.queue.procrastinate import Queue
from orchestrator.worker.kinds import Kind


@dataclass
class _Waiting:
    attempt: Attempt
    is_back: asyncio.Event = field(default_factory=asyncio.Event)


class AwayBuckets:
    """The jobs of one kind that wait for their buckets, in the order in which they began to.

    No other job of such a bucket is taken. If none waits for it any more, the next that is taken tries it.
    """

    def __init__(self, kind: Kind, queue: Queue) -> None:
        self._kind = kind
        self._queue = queue
        self._waiting: dict[int, _Waiting] = {}

    def names(self) -> list[str]:
        """Sub-queues of the buckets that are away. The jobs that wait for others continue, and want their slots again
        before another job is taken.
        """
        away = set()
        for entry, one in self._waiting.items():
            if one.attempt.reading or one.is_back.is_set():
                continue
            if self._kind.away(one.attempt.bucket):
                away.add(bucket_queue(self._kind.name, one.attempt.bucket))
            else:
                one.is_back.set()
                self._queue.slots.want(entry)
        return sorted(away)

    async def wait(self, attempt: Attempt, seconds: float) -> bool:
        """Wait without a slot for so long, or until the bucket is back; whether it is."""
        one = self._waiting[attempt.queue_job] = self._waiting.get(attempt.queue_job, _Waiting(attempt))
        one.is_back.clear()
        attempt.reading = False
        await self._queue.leave_slot(attempt.queue_job)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await one.is_back.wait()
            self.names()
            if one.is_back.is_set() or self._first(attempt.bucket) is one:
                return one.is_back.is_set()

    def forget(self, attempt: Attempt) -> None:
        """A job is over."""
        self._waiting.pop(attempt.queue_job, None)

    def _first(self, bucket: str) -> _Waiting | None:
        waiting = (one for one in self._waiting.values() if one.attempt.bucket == bucket)
        return next((one for one in waiting if not (one.attempt.reading or one.is_back.is_set())), None)
