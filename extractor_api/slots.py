"""How many ffmpeg run at once, and how many requests may wait for one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from machine.errors import Busy

RETRY_AFTER_SECONDS = 5


class Slots:
    """A bounded number of places with a bounded queue.

    Args:
        places: at once.
        queue_length: that may wait; more are refused.
    """

    def __init__(self, places: int, queue_length: int) -> None:
        self._free = asyncio.Semaphore(places)
        self._queue_length = queue_length
        self.places = places
        self.running = 0
        self.waiting = 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Hold a place until the block ends.

        Raises:
            Busy: all places and the queue are full.
        """
        if self._free.locked() and self.waiting >= self._queue_length:
            raise Busy(
                f"all {self.places} ffmpeg and {self._queue_length} waiting places are taken; try again in a moment",
                retry_after=RETRY_AFTER_SECONDS,
            )
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._free.release()
