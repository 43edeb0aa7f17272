"""A bounded wait ends with its work, with its time, and with a cancellation at whatever moment."""

import asyncio

import pytest

from reelscribe.timeout import within


async def test_work_in_time_gives_its_result():
    assert await within(5, asyncio.sleep(0, "done")) == "done"


async def test_work_that_takes_too_long_is_cancelled():
    working = asyncio.create_task(asyncio.sleep(60))
    with pytest.raises(asyncio.TimeoutError):
        await within(0.01, working)
    assert working.cancelled()


async def test_a_failure_of_the_work_is_that_of_the_wait():
    async def fail() -> None:
        raise KeyError("a")

    with pytest.raises(KeyError):
        await within(5, fail())


@pytest.mark.parametrize("iterations", range(6))
async def test_a_cancellation_counts_however_shortly_the_work_is_done_before_it(iterations: int):
    work = asyncio.Event()
    waiting = asyncio.create_task(within(5, work.wait()))
    await asyncio.sleep(0.01)
    work.set()
    for _ in range(iterations):
        await asyncio.sleep(0)
        if waiting.done():
            return
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_cancelled_wait_leaves_no_work_behind():
    working = asyncio.create_task(asyncio.sleep(60))
    waiting = asyncio.create_task(within(60, working))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert working.cancelled()
