"""Whether another service can be used, asked no more often than every few seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable

FRESH_SECONDS = 5.0
ANSWER_SECONDS = 2.0


class PeerWatch:
    """Remembers for a while what is wrong with another service.

    Args:
        name: of the other service, for people.
        look: asks it; why it cannot be used, or None if it can.
    """

    def __init__(self, name: str, look: Callable[[], Awaitable[str | None]]) -> None:
        self._name = name
        self._look = look
        self._looking = asyncio.Lock()
        self._looked_at = -FRESH_SECONDS
        self._problem: str | None = None

    async def problem(self) -> str | None:
        """What is wrong with it; None if nothing is. It takes :data:`ANSWER_SECONDS` at most."""
        async with self._looking:
            if time.monotonic() >= self._looked_at + FRESH_SECONDS:
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        self._problem = await self._look()
                except TimeoutError:
                    self._problem = f"{self._name} does not answer within {ANSWER_SECONDS:g} s"
                self._looked_at = time.monotonic()
            return self._problem
