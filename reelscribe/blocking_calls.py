"""Calls that block, such as those of MinIO's client, made in a thread that nothing has to wait for."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

GRACE_SECONDS = 1.5
"""For a call to end once it is cancelled."""

Result = TypeVar("Result")


async def call_blocking(call: Callable[[], Result], when_cancelled: Callable[[], None] = lambda: None) -> Result:
    """Make the call in a thread of its own.

    If it is cancelled, the call has ``GRACE_SECONDS`` to end by itself. After that it is abandoned: unlike one of
    :func:`asyncio.to_thread`, it keeps neither the event loop nor the process from ending.

    Args:
        when_cancelled: what lets the call end soon.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Result] = loop.create_future()

    def work() -> None:
        try:
            settle = _returned(outcome, call())
        except BaseException as failure:
            settle = _raised(outcome, failure)
        with suppress(RuntimeError):  # the event loop has ended: the call was abandoned
            loop.call_soon_threadsafe(settle)

    Thread(target=work, daemon=True).start()
    try:
        return await asyncio.shield(outcome)
    except asyncio.CancelledError:
        when_cancelled()
        outcome.add_done_callback(asyncio.Future.exception)  # no one waits for what it says
        await asyncio.wait((outcome,), timeout=GRACE_SECONDS)
        raise


def _returned(outcome: asyncio.Future[Result], result: Result) -> Callable[[], None]:
    return lambda: outcome.set_result(result)


def _raised(outcome: asyncio.Future[Result], failure: BaseException) -> Callable[[], None]:
    return lambda: outcome.set_exception(failure)
