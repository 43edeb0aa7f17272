"""Calls in a thread that nothing waits for."""

import asyncio
import gc
import threading
import time

import pytest

from reelscribe import blocking_calls
from reelscribe.blocking_calls import call_blocking


async def test_it_returns_and_raises_what_the_call_does() -> None:
    assert await call_blocking(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await call_blocking(lambda: 1 // 0)


async def test_a_cancelled_call_that_ends_soon_is_waited_for() -> None:
    stop, ended = threading.Event(), []

    def call() -> None:
        assert stop.wait(60)
        time.sleep(0.1)
        ended.append(True)

    calling = asyncio.create_task(call_blocking(call, stop.set))
    await asyncio.sleep(0.05)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert ended == [True]


def test_a_cancelled_call_that_does_not_end_keeps_no_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking_calls, "GRACE_SECONDS", 0.1)
    release = threading.Event()

    async def begin() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await call_blocking(lambda: release.wait(60))

    before = time.monotonic()
    asyncio.run(begin())
    release.set()
    assert time.monotonic() - before < 30


async def test_what_a_cancelled_call_raises_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()

    def call() -> None:
        assert stop.wait(60)
        raise OSError("it was interrupted")

    calling = asyncio.create_task(call_blocking(call, stop.set))
    await asyncio.sleep(0.05)
    calling.cancel()
    await asyncio.wait([calling])
    del calling
    await asyncio.sleep(0)
    gc.collect()
    assert not caplog.records, "Future exception was never retrieved"
