"""Buckets that are away: what it costs to ask for them, and who tries them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.queue.slots import Slots
from orchestrator.worker.away_buckets import AwayBuckets
from reelscribe.errors import RemoteError

AWAY = RemoteError(502, "bucket_unavailable", "it is not there", True)


@pytest.fixture
def asked() -> list[str]:
    """Buckets that were asked for."""
    return []


@pytest.fixture
def slots() -> Slots:
    slots = Slots()
    slots.kinds = {"work": lambda: 2}
    return slots


@pytest.fixture
def buckets(asked: list[str], slots: Slots) -> AwayBuckets:
    async def leave_slot(entry: int) -> None:
        slots.leave(entry)

    def away(bucket: str) -> RemoteError | None:
        asked.append(bucket)
        return None if bucket == "back" else AWAY

    kind: Any = SimpleNamespace(name="work", away=away)
    queue: Any = SimpleNamespace(slots=slots, leave_slot=leave_slot)
    return AwayBuckets(kind, queue)


def attempt_at(entry: int, bucket: str) -> Any:
    return SimpleNamespace(queue_job=entry, bucket=bucket, reading=False)


async def test_a_bucket_is_asked_for_once_however_many_jobs_wait_for_it(buckets, slots, asked):
    for entry in range(100):
        slots.add(entry, "work")
    waiting = [
        asyncio.create_task(buckets.wait(attempt_at(entry, ("away", "other")[entry % 2]), 60)) for entry in range(100)
    ]
    await asyncio.sleep(0)
    assert buckets.names() == ["work/bucket/away", "work/bucket/other"]
    assert sorted(asked) == ["away", "other"]
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_a_bucket_whose_last_job_is_over_is_not_asked_for(buckets, slots, asked):
    slots.add(1, "work")
    attempt = attempt_at(1, "away")
    assert not await buckets.wait(attempt, 0)
    buckets.forget(attempt)
    asked.clear()
    assert buckets.names() == [] and asked == []


async def test_all_that_wait_for_a_bucket_want_their_slots_when_it_is_back(buckets, slots):
    for entry in (1, 2):
        slots.add(entry, "work")
    waiting = [asyncio.create_task(buckets.wait(attempt_at(entry, "back"), 60)) for entry in (1, 2)]
    await asyncio.sleep(0)
    assert slots.free_kinds() == ["work"]
    assert buckets.names() == []
    assert slots.free_kinds() == []
    assert await asyncio.gather(*waiting) == [True, True]
