"""A bounded wait that no cancellation gets lost in."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


async def within(seconds: float, work: Awaitable[Result]) -> Result:
    """Do ``work``, or cancel it after ``seconds``.

    Before Python 3.12 ``asyncio.wait_for`` returns the result of work that is just done, and drops a cancellation that
    comes at that moment; whoever is cancelled only once, then never ends.

    Raises:
        asyncio.TimeoutError: it took longer.
    """
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({working}, timeout=seconds)
        if working.done():
            return working.result()
        raise TimeoutError
    finally:
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
