"""Slots for work that runs at the same time, and a bounded queue for work that waits; interactive work goes first."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from reelscribe.errors import Busy

RETRY_AFTER_SECONDS = 5

BATCH_SHARE = 4
"""While both kinds of claims wait, every fourth slot that becomes free is for batch work, so that none starves."""


class Slots:
    """A bounded number of slots with a bounded queue: interactive claims first, each kind first come, first served.

    Args:
        size: how many slots any claim may take.
        queue_length: how many claims may wait; more are refused.
        interactive_slots: additional slots, which only interactive claims may take.
    """

    def __init__(self, size: int, queue_length: int, interactive_slots: int = 0) -> None:
        self.size = size
        self._total = size + interactive_slots
        self._queue_length = queue_length
        self._interactive, self._batch = _Claims(), _Claims()
        self._interactive_in_a_row = 0

    @property
    def running(self) -> int:
        """Slots in use."""
        return self._interactive.running + self._batch.running

    @property
    def waiting(self) -> int:
        """Claims without a slot."""
        return self._interactive.waiting + self._batch.waiting

    @property
    def free(self) -> int:
        """How many more batch claims would get a slot immediately, once each claim that waits has its own."""
        return max(0, min(self.size - self._batch.total, self._total - self.running - self.waiting))

    @contextmanager
    def claim(self, interactive: bool = False) -> Iterator["Claim"]:
        """A claim to a slot, released at the end of the block.

        Raises:
            Busy: all slots are in use and the queue is full.
        """
        full = self.running + self.waiting >= self._total + self._queue_length
        if full or (not interactive and self._batch.total >= self.size + self._queue_length):
            raise Busy(
                f"all {self.size} slots are in use and the queue of {self._queue_length} is full; "
                "try again in a moment",
                retry_after=RETRY_AFTER_SECONDS,
            )
        claim = Claim(self, self.claims_of(interactive))
        try:
            yield claim
        finally:
            claim.release()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it until the block ends.

        Raises:
            Busy: all slots are in use and the queue is full.
        """
        with self.claim() as claim:
            await claim.wait()
            yield

    def claims_of(self, interactive: bool) -> "_Claims":
        """The claims of one kind."""
        return self._interactive if interactive else self._batch

    def assign(self) -> None:
        """Give the free slots to the claims that wait for them."""
        while claims := self._next():
            claims.queue.popleft().start()

    def _next(self) -> "_Claims | None":
        """The claims of which one gets the next slot; None if no slot is free, or no claim waits for it."""
        if self.running >= self._total:
            return None
        batch_may = self._batch.queue and self._batch.running < self.size
        if self._interactive.queue and not (batch_may and self._interactive_in_a_row >= BATCH_SHARE - 1):
            self._interactive_in_a_row += bool(batch_may)
            return self._interactive
        if not batch_may:
            return None
        self._interactive_in_a_row = 0
        return self._batch


class _Claims:
    """The claims of one kind.

    Attributes:
        queue: the claims that wait for a slot now; that of an upload that is still arriving does not yet.
    """

    def __init__(self) -> None:
        self.running = 0
        self.waiting = 0
        self.queue: deque[Claim] = deque()

    @property
    def total(self) -> int:
        """With a slot or without."""
        return self.running + self.waiting


class Claim:
    """A claim to one slot; :meth:`Slots.claim` makes it."""

    def __init__(self, slots: Slots, claims: _Claims) -> None:
        self._slots = slots
        self._claims = claims
        self._started = asyncio.Event()
        self._released = False
        claims.waiting += 1

    async def wait(self, interactive: bool = False) -> None:
        """Wait for the slot, as an interactive claim or as a batch claim, whichever this one was so far."""
        self._claims.waiting -= 1
        self._claims = self._slots.claims_of(interactive)
        self._claims.waiting += 1
        self._claims.queue.append(self)
        self._slots.assign()
        await self._started.wait()

    def start(self) -> None:
        """Take the slot."""
        self._claims.waiting -= 1
        self._claims.running += 1
        self._started.set()

    def release(self) -> None:
        """Give the slot back, or stop waiting for it."""
        if self._released:
            return
        self._released = True
        if self._started.is_set():
            self._claims.running -= 1
        else:
            self._claims.waiting -= 1
            with suppress(ValueError):  # it may not wait yet
                self._claims.queue.remove(self)
        self._slots.assign()
