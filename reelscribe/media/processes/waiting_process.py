"""A process that has loaded PyAV and waits for the next request: to load it takes longer than a first byte may."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Generic, Protocol, TypeVar

from reelscribe.media.processes.sandbox import Sandbox


class Waiting(Protocol):
    """What waits."""

    sandbox: Sandbox

    @property
    def has_ended(self) -> bool:
        """Whether it cannot take a task."""

    async def end(self) -> None:
        """End it, whatever it does."""


Process = TypeVar("Process", bound=Waiting)


class OneWaiting(Generic[Process]):
    """The one process of a kind that waits.

    Args:
        make: starts one, in a sandbox and with so many seconds of CPU time.
        rest_seconds: before the next one is started; it would compete with what the last one does.
    """

    def __init__(self, make: Callable[[Sandbox, float], Process], rest_seconds: float) -> None:
        self._make, self._rest_seconds = make, rest_seconds
        self._process: Process | None = None
        self._start: Callable[[], Process] | None = None

    @asynccontextmanager
    async def kept(self, sandbox: Sandbox, cpu_seconds: float) -> AsyncIterator[None]:
        """While this is entered, one waits."""
        self._start = partial(self._make, sandbox, cpu_seconds)
        self._replace()
        try:
            yield
        finally:
            process, self._process, self._start = self._process, None, None
            if process:
                await process.end()

    async def take(self, sandbox: Sandbox) -> Process | None:
        """It, for one task; None if none waits in this sandbox."""
        process = self._process
        if process is None or process.sandbox != sandbox:
            return None
        self._process = None
        asyncio.get_running_loop().call_later(self._rest_seconds, self._replace)
        if process.has_ended:
            await process.end()
            return None
        return process

    def _replace(self) -> None:
        if self._start and self._process is None:
            self._process = self._start()
