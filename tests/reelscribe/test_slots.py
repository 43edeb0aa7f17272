"""Places: who gets the next one, who waits, and who is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from reelscribe.errors import Busy
from reelscribe.slots import Slots


class Claimants:
    """Tasks that claim a place and keep it until :meth:`leave`; ``placed`` tells in which order they got theirs."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.placed: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        """Those whose name begins with i are interactive."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._stay(name))
            await asyncio.sleep(0)
        await settled()

    async def leave(self, *names: str) -> None:
        for name in names:
            self.tasks[name].cancel()
        await settled()

    async def _stay(self, name: str) -> None:
        interactive = name.startswith("i")
        with self.slots.claim(interactive) as claim:
            await claim.place(interactive)
            self.placed.append(name)
            await asyncio.sleep(60)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def claimants(slots: Slots) -> AsyncIterator[Claimants]:
    those = Claimants(slots)
    try:
        yield those
    finally:
        await those.leave(*those.tasks)
        await asyncio.gather(*those.tasks.values(), return_exceptions=True)
        assert (slots.running, slots.waiting, slots.free) == (0, 0, slots.places)


async def test_first_come_is_first_served():
    async with claimants(Slots(1, 9)) as those:
        await those.come("a", "b", "c")
        await those.leave("a")
        await those.leave("b")
        assert those.placed == ["a", "b", "c"]


async def test_an_interactive_claim_has_a_place_where_all_others_are_taken():
    async with claimants(Slots(2, 9, interactive_places=1)) as those:
        await those.come("a", "b", "c", "i1", "i2")
        assert those.placed == ["a", "b", "i1"]


async def test_an_interactive_claim_goes_first():
    async with claimants(Slots(1, 9, interactive_places=1)) as those:
        await those.come("a", "b", "i1", "i2")
        await those.leave("a")
        assert those.placed == ["a", "i1", "i2"]


async def test_interactive_claims_may_take_all_places():
    async with claimants(Slots(2, 9, interactive_places=1)) as those:
        await those.come("i1", "i2", "i3", "i4")
        assert those.placed == ["i1", "i2", "i3"]


async def test_each_fourth_place_is_for_those_that_interactive_claims_pass_by():
    async with claimants(Slots(1, 99, interactive_places=1)) as those:
        await those.come("i1", "i2", "a", "b", *(f"i{number}" for number in range(3, 9)))
        for name in ("i1", "i2", "i3", "i4", "i5", "a", "i6", "i7"):
            await those.leave(name)
        assert those.placed == ["i1", "i2", "i3", "i4", "i5", "a", "i6", "i7", "i8", "b"]


async def test_places_for_interactive_claims_are_never_for_others():
    async with claimants(Slots(1, 9, interactive_places=2)) as those:
        await those.come("a", "b")
        assert those.placed == ["a"]


async def test_free_places_are_those_that_are_for_all():
    slots = Slots(2, 9, interactive_places=1)
    async with claimants(slots) as those:
        counts = []
        for name in ("i1", "a", "i2", "b"):
            await those.come(name)
            counts.append(slots.free)
        assert counts == [2, 1, 0, 0]
        await those.leave("i1", "i2")
        assert slots.free == 0


@pytest.mark.parametrize("interactive", [False, True])
async def test_beyond_the_queue_a_claim_is_refused(interactive: bool):
    slots = Slots(1, 1, interactive_places=1)
    async with claimants(slots) as those:
        await those.come("a", "b")
        with pytest.raises(Busy, match="all 1 places and 1 waiting places"), slots.claim():
            pass
        await those.come("i1")
        with pytest.raises(Busy), slots.claim(interactive):
            pass


async def test_who_leaves_in_the_moment_of_being_placed_leaves_the_place_free():
    slots = Slots(1, 9)
    async with claimants(slots) as those:
        await those.come("a", "b", "c")
        those.tasks["a"].cancel()
        await asyncio.sleep(0)  # b has the place, but does not know it yet
        await those.leave("b")
        assert those.placed == ["a", "c"]


async def test_a_claim_may_change_its_kind_before_it_is_placed():
    slots = Slots(1, 9, interactive_places=1)
    async with claimants(slots) as those:
        await those.come("a")
        with slots.claim(interactive=True) as claim:
            waiting = asyncio.create_task(claim.place(interactive=False))
            await settled()
            assert not waiting.done()
            await those.leave("a")
            await waiting
