"""Places for work: so many at once, and so many more may wait; those whom somebody waits for go first."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from reelscribe.errors import Busy

RETRY_AFTER_SECONDS = 5

TURNS = 4
"""Where both kinds of claims wait for a place, each fourth one is for the others: nobody starves."""


class Slots:
    """A bounded number of places with a bounded queue: interactive claims first, each kind first come, first served.

    Args:
        places: at once.
        queue_length: that may wait; more are refused.
        interactive_places: on top, which only interactive claims may take.
    """

    def __init__(self, places: int, queue_length: int, interactive_places: int = 0) -> None:
        self.places = places
        self._all_places = places + interactive_places
        self._queue_length = queue_length
        self._interactive, self._others = _Line(), _Line()
        self._passed_by = 0

    @property
    def running(self) -> int:
        """Places that are taken."""
        return self._interactive.running + self._others.running

    @property
    def waiting(self) -> int:
        """Claims without a place."""
        return self._interactive.waiting + self._others.waiting

    @property
    def free(self) -> int:
        """How many more claims, none of them interactive, would get a place at once, once all claims have theirs."""
        return max(0, min(self.places - self._others.claims, self._all_places - self.running - self.waiting))

    @contextmanager
    def claim(self, interactive: bool = False) -> Iterator["Claim"]:
        """The right to a place, at once or later; given back at the end of the block.

        Raises:
            Busy: all places and the queue are full.
        """
        full = self.running + self.waiting >= self._all_places + self._queue_length
        if full or (not interactive and self._others.claims >= self.places + self._queue_length):
            raise Busy(
                f"all {self.places} places and {self._queue_length} waiting places of this machine are taken; "
                "try again in a moment",
                retry_after=RETRY_AFTER_SECONDS,
            )
        claim = Claim(self, self.line(interactive))
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

    def line(self, interactive: bool) -> "_Line":
        """Where claims of that kind wait."""
        return self._interactive if interactive else self._others

    def fill(self) -> None:
        """Give the places that are free to those who wait for them."""
        while line := self._next():
            line.queue.popleft().begin()

    def _next(self) -> "_Line | None":
        if self.running >= self._all_places:
            return None
        others_may = self._others.queue and self._others.running < self.places
        if self._interactive.queue and not (others_may and self._passed_by >= TURNS - 1):
            self._passed_by += bool(others_may)
            return self._interactive
        if not others_may:
            return None
        self._passed_by = 0
        return self._others


class _Line:
    """The claims of one kind.

    Attributes:
        queue: of those that wait for their place by now; an upload that still arrives does not yet.
    """

    def __init__(self) -> None:
        self.running = 0
        self.waiting = 0
        self.queue: deque[Claim] = deque()

    @property
    def claims(self) -> int:
        """With a place or without."""
        return self.running + self.waiting


class Claim:
    """What :meth:`Slots.claim` gives out."""

    def __init__(self, slots: Slots, line: _Line) -> None:
        self._slots = slots
        self._line = line
        self._begun = asyncio.Event()
        self._released = False
        line.waiting += 1

    async def place(self, interactive: bool = False) -> None:
        """Wait for the place, in the line of those that are ``interactive`` or not, whatever was claimed."""
        self._line.waiting -= 1
        self._line = self._slots.line(interactive)
        self._line.waiting += 1
        self._line.queue.append(self)
        self._slots.fill()
        await self._begun.wait()

    def begin(self) -> None:
        """Take the place."""
        self._line.waiting -= 1
        self._line.running += 1
        self._begun.set()

    def release(self) -> None:
        """Give it back before the end of the block."""
        if self._released:
            return
        self._released = True
        if self._begun.is_set():
            self._line.running -= 1
        else:
            self._line.waiting -= 1
            with suppress(ValueError):  # it may not wait yet
                self._line.queue.remove(self)
        self._slots.fill()
