"""The slots of a worker: which of the jobs that it has taken occupy one of their kind."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping


class Slots:
    """A job has a slot from when it is taken. One that waits for its bucket leaves it to another job, and gets one
    again before it continues; no other job is taken then until it has one.

    Attributes:
        kinds: of which jobs are taken, each with how many slots there are, as of now.
    """

    def __init__(self) -> None:
        self.kinds: Mapping[str, Callable[[], int]] = {}
        self._jobs: dict[int | None, str] = {}
        self._left: set[int | None] = set()
        self._wanted: dict[int | None, asyncio.Event] = {}

    def add(self, entry: int | None, kind: str) -> None:
        """A job was taken."""
        self._jobs[entry] = kind

    def remove(self, entry: int | None) -> None:
        """A job is over, or was put back."""
        self._jobs.pop(entry, None)
        self._left.discard(entry)
        if entry in self._wanted:
            self._wanted.pop(entry).set()
        self.fill()

    @property
    def entries(self) -> list[int | None]:
        """Of the jobs that the worker has."""
        return list(self._jobs)

    def free_kinds(self) -> list[str]:
        """Of which another job may be taken."""
        taken = Counter(kind for entry, kind in self._jobs.items() if entry not in self._left)
        return [kind for kind, most in self.kinds.items() if taken[kind] < most()]

    def leave(self, entry: int) -> None:
        """A job waits without a slot."""
        if entry in self._jobs:
            self._left.add(entry)
            self.fill()

    def want(self, entry: int) -> bool:
        """A job that has left its slot wants one again: whether it has got it. Who wants one first gets it first."""
        if entry in self._left:
            self._left.discard(entry)
            self._wanted[entry] = asyncio.Event()
            self.fill()
        return entry not in self._wanted

    async def wait(self, entry: int) -> None:
        """Until a job has the slot that it wants."""
        if wanted := self._wanted.get(entry):
            try:
                await wanted.wait()
            finally:
                self._wanted.pop(entry, None)

    def fill(self) -> None:
        """Give slots that are free to those that want one."""
        taken = Counter(
            kind for entry, kind in self._jobs.items() if entry not in self._left and entry not in self._wanted
        )
        for entry in list(self._wanted):
            kind = self._jobs[entry]
            if taken[kind] < self.kinds[kind]():
                taken[kind] += 1
                self._wanted.pop(entry).set()
