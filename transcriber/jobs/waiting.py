"""Work that is waited for, while something else goes on, and that an event may end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Interrupted(Exception):
    """The event came before the end of the work."""


async def waiting_for(work: Awaitable[Result], do: Callable[[], Awaitable[None]], every: float) -> Result:
    """Do ``work``, and call ``do`` each ``every`` seconds until then; it has ended when this returns or raises."""
    working = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({working}, timeout=every))[0]:
            await do()
        return working.result()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def unless(
    event: asyncio.Event,
    work: Coroutine[Any, Any, Result],
    meanwhile: Callable[[], Awaitable[None]] | None = None,
    every: float | None = None,
) -> Result:
    """Do ``work``. Whatever ends the wait for it, it has ended too when this returns or raises.

    Args:
        meanwhile: called each ``every`` seconds until then.

    Raises:
        Interrupted: ``event`` was set; the work has been cancelled.
    """
    working, interruption = asyncio.create_task(work), asyncio.create_task(event.wait())
    try:
        while not working.done():
            await asyncio.wait({working, interruption}, timeout=every, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                break
            if interruption.done():
                raise Interrupted
            if meanwhile:
                await meanwhile()
        return working.result()
    finally:
        working.cancel()
        interruption.cancel()
        await asyncio.gather(working, interruption, return_exceptions=True)
