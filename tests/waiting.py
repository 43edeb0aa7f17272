"""How tests wait: until something is true, however long that takes on a busy host."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

TIMEOUT_SECONDS = 60.0
"""Many times what anything that is waited for takes, also on a busy host."""
PAUSE_SECONDS = 0.02


async def eventually(
    condition: Callable[[], Awaitable[Any]] | Callable[[], Any], within: float = TIMEOUT_SECONDS
) -> Any:
    """What ``condition`` returns, or what it awaits, as soon as that is true.

    Raises:
        AssertionError: it has not become true within so many seconds.
    """
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within:g} s: the last was {found!r}"
        await asyncio.sleep(PAUSE_SECONDS)


def blocking_eventually(condition: Callable[[], Any], within: float = TIMEOUT_SECONDS) -> Any:
    """The same, for tests without an event loop."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within:g} s: the last was {found!r}"
        time.sleep(PAUSE_SECONDS)
    return found
