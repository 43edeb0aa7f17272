"""Places for work: so many at once, and so many more may wait, first come first served."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from machine.errors import Busy

RETRY_AFTER_SECONDS = 5


class Slots:
    """A bounded number of places with a bounded queue.

    Attributes:
        running: places that are taken.
        waiting: claims without a place.

    Args:
        places: at once.
        queue_length: that may wait; more are refused.
    """

    def __init__(self, places: int, queue_length: int) -> None:
        self.places = places
        self.running = 0
        self.waiting = 0
        self._queue_length = queue_length
        self._semaphore = asyncio.Semaphore(places)

    @property
    def free(self) -> int:
        """How many more would get a place at once, once all claims have theirs."""
        return max(0, self.places - self.running - self.waiting)

    @contextmanager
    def claim(self) -> Iterator["Claim"]:
        """The right to a place, at once or later; given back at the end of the block.

        Raises:
            Busy: all places and the queue are full.
        """
        if self.running + self.waiting >= self.places + self._queue_length:
            raise Busy(
                f"all {self.places} places and {self._queue_length} waiting places of this machine are taken; "
                "try again in a moment",
                retry_after=RETRY_AFTER_SECONDS,
            )
        claim = Claim(self, self._semaphore)
        try:
            yield claim
        finally:
            claim.release()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Hold a place until the block ends.

        Raises:
            Busy: all places and the queue are full.
        """
        with self.claim() as claim:
            await claim.place()
            yield


class Claim:
    """What :meth:`Slots.claim` gives out."""

    def __init__(self, slots: Slots, semaphore: asyncio.Semaphore) -> None:
        self._slots = slots
        self._semaphore = semaphore
        self._placed = self._released = False
        slots.waiting += 1

    async def place(self) -> None:
        """Wait for the place; the queue begins with those that have waited here the longest."""
        await self._semaphore.acquire()
        self._placed = True
        self._slots.waiting -= 1
        self._slots.running += 1

    def release(self) -> None:
        """Give it back before the end of the block."""
        if self._released:
            return
        self._released = True
        if self._placed:
            self._slots.running -= 1
            self._semaphore.release()
        else:
            self._slots.waiting -= 1
