"""Waiting for work, with something to do in the meantime, or until an event ends the wait."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Interrupted(Exception):
    """The event came before the end of the work."""


async def wait_while_calling(work: Awaitable[Result], function: Callable[[], Awaitable[None]], every: float) -> Result:
    """Do ``work``, and call ``function`` each ``every`` seconds until it ends.

    The work has ended when this returns or raises, for whatever reason.
    """
    working = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({working}, timeout=every))[0]:
            await function()
        return working.result()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def wait_unless(
    event: asyncio.Event,
    work: Coroutine[Any, Any, Result],
    function: Callable[[], Awaitable[None]] | None = None,
    every: float | None = None,
) -> Result:
    """Do ``work`` unless ``event`` is set before it ends.

    The work has ended when this returns or raises, for whatever reason.

    Args:
        function: called each ``every`` seconds until then.

    Raises:
        Interrupted: the event was set; the work has been cancelled.
    """
    working, interruption = asyncio.create_task(work), asyncio.create_task(event.wait())
    try:
        while not working.done():
            await asyncio.wait({working, interruption}, timeout=every, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                break
            if interruption.done():
                raise Interrupted
            if function:
                await function()
        return working.result()
    finally:
        working.cancel()
        interruption.cancel()
        await asyncio.gather(working, interruption, return_exceptions=True)
