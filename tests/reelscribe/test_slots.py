"""Slots: which claim gets the next one, which waits, and which is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from reelscribe.errors import Busy
from reelscribe.slots import Slots


class Requests:
    """Tasks that each hold a slot until :meth:`end`; ``started`` has their names in the order they got one."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.started: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, *names: str) -> None:
        """Those whose name begins with i are interactive."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._run(name))
            await asyncio.sleep(0)
        await settled()

    async def end(self, *names: str) -> None:
        for name in names:
            self.tasks[name].cancel()
        await settled()

    async def _run(self, name: str) -> None:
        interactive = name.startswith("i")
        with self.slots.claim(interactive) as claim:
            await claim.wait(interactive)
            self.started.append(name)
            await asyncio.sleep(60)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def requests_for(slots: Slots) -> AsyncIterator[Requests]:
    requests = Requests(slots)
    try:
        yield requests
    finally:
        await requests.end(*requests.tasks)
        await asyncio.gather(*requests.tasks.values(), return_exceptions=True)
        assert (slots.running, slots.waiting, slots.free) == (0, 0, slots.size)


async def test_first_come_is_first_served():
    async with requests_for(Slots(1, 9)) as requests:
        await requests.begin("a", "b", "c")
        await requests.end("a")
        await requests.end("b")
        assert requests.started == ["a", "b", "c"]


async def test_an_interactive_claim_has_a_slot_when_all_others_are_taken():
    async with requests_for(Slots(2, 9, interactive_slots=1)) as requests:
        await requests.begin("a", "b", "c", "i1", "i2")
        assert requests.started == ["a", "b", "i1"]


async def test_an_interactive_claim_goes_first():
    async with requests_for(Slots(1, 9, interactive_slots=1)) as requests:
        await requests.begin("a", "b", "i1", "i2")
        await requests.end("a")
        assert requests.started == ["a", "i1", "i2"]


async def test_interactive_claims_may_take_all_slots():
    async with requests_for(Slots(2, 9, interactive_slots=1)) as requests:
        await requests.begin("i1", "i2", "i3", "i4")
        assert requests.started == ["i1", "i2", "i3"]


async def test_every_fourth_slot_is_for_batch_claims_while_both_kinds_wait():
    async with requests_for(Slots(1, 99, interactive_slots=1)) as requests:
        await requests.begin("i1", "i2", "a", "b", *(f"i{number}" for number in range(3, 9)))
        for name in ("i1", "i2", "i3", "i4", "i5", "a", "i6", "i7"):
            await requests.end(name)
        assert requests.started == ["i1", "i2", "i3", "i4", "i5", "a", "i6", "i7", "i8", "b"]


async def test_interactive_slots_are_never_for_others():
    async with requests_for(Slots(1, 9, interactive_slots=2)) as requests:
        await requests.begin("a", "b")
        assert requests.started == ["a"]


async def test_free_slots_are_those_for_all_claims():
    slots = Slots(2, 9, interactive_slots=1)
    async with requests_for(slots) as requests:
        counts = []
        for name in ("i1", "a", "i2", "b"):
            await requests.begin(name)
            counts.append(slots.free)
        assert counts == [2, 1, 0, 0]
        await requests.end("i1", "i2")
        assert slots.free == 0


@pytest.mark.parametrize("interactive", [False, True])
async def test_beyond_the_queue_a_claim_is_refused(interactive: bool):
    slots = Slots(1, 1, interactive_slots=1)
    async with requests_for(slots) as requests:
        await requests.begin("a", "b")
        with pytest.raises(Busy, match="all 1 slots are in use and the queue of 1 is full"), slots.claim():
            pass
        await requests.begin("i1")
        with pytest.raises(Busy), slots.claim(interactive):
            pass


async def test_a_request_that_ends_just_as_it_gets_its_slot_leaves_it_free():
    slots = Slots(1, 9)
    async with requests_for(slots) as requests:
        await requests.begin("a", "b", "c")
        requests.tasks["a"].cancel()
        await asyncio.sleep(0)  # b has the slot, but has not run since
        await requests.end("b")
        assert requests.started == ["a", "c"]


async def test_a_claim_may_change_its_kind_before_it_waits():
    slots = Slots(1, 9, interactive_slots=1)
    async with requests_for(slots) as requests:
        await requests.begin("a")
        with slots.claim(interactive=True) as claim:
            waiting = asyncio.create_task(claim.wait(interactive=False))
            await settled()
            assert not waiting.done()
            await requests.end("a")
            await waiting
