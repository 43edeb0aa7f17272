"""The slots of a worker: who leaves one gets one again before another job is taken."""

import asyncio

import pytest

from orchestrator.queue.slots import Slots


@pytest.fixture
def slots() -> Slots:
    slots = Slots()
    slots.kinds = {"work": lambda: 2}
    for entry in (1, 2):
        slots.add(entry, "work")
    return slots


def test_a_job_that_waits_without_a_slot_makes_room_for_another(slots):
    assert slots.free_kinds() == []
    slots.leave(1)
    assert slots.free_kinds() == ["work"]
    slots.add(3, "work")
    assert slots.free_kinds() == [] and slots.entries == [1, 2, 3]


def test_a_job_gets_its_slot_back_if_no_other_has_it(slots):
    slots.leave(1)
    assert slots.want(1) and slots.free_kinds() == []


async def test_no_job_is_taken_before_those_that_want_a_slot_have_one(slots):
    for entry in (1, 2):
        slots.leave(entry)
    for entry in (3, 4):
        slots.add(entry, "work")
    assert not slots.want(2) and not slots.want(1)
    second, first = (asyncio.create_task(slots.wait(entry)) for entry in (2, 1))
    await asyncio.sleep(0)
    slots.remove(3)
    assert slots.free_kinds() == []
    await asyncio.wait_for(second, 60)
    await asyncio.sleep(0)
    assert not first.done()
    slots.remove(4)
    await asyncio.wait_for(first, 60)
    assert slots.free_kinds() == []
    slots.remove(1)
    assert slots.free_kinds() == ["work"]


async def test_a_job_that_is_cancelled_while_it_wants_a_slot_keeps_none(slots):
    slots.leave(1)
    slots.add(3, "work")
    assert not slots.want(1)
    waiting = asyncio.create_task(slots.wait(1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    slots.remove(1)
    slots.remove(2)
    assert slots.free_kinds() == ["work"]


async def test_a_slot_more_goes_to_who_wants_one(slots):
    slots.leave(1)
    slots.add(3, "work")
    assert not slots.want(1)
    slots.kinds = {"work": lambda: 3}
    slots.fill()
    await asyncio.wait_for(slots.wait(1), 60)
