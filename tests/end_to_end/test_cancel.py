"""Cancelling a job ends ffmpeg in the extractor, and a worker that was stopped writes nothing when it continues."""

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable

import pytest

from tests.conftest import SPEECH
from tests.end_to_end.crashes import Installation
from tests.guard import temporary_folder
from tests.waiting import eventually

HOUR = "talks/hour.mkv"
TEN_MINUTES = "talks/ten_minutes.ogg"


@pytest.fixture
async def installation(run_ffmpeg: Callable[..., None]) -> AsyncIterator[Installation]:
    with temporary_folder("reelscribe-cancel-") as folder:
        async with Installation(folder) as running:
            speech = SPEECH / "ten_minutes.ogg"
            (running.bucket / HOUR).parent.mkdir(parents=True)
            run_ffmpeg("-stream_loop", "5", "-i", speech, "-c", "copy", running.bucket / HOUR)
            shutil.copy(speech, running.bucket / TEN_MINUTES)
            await running.ready("transcriber", "extractor")
            yield running


async def test_cancel_stops_the_transcriber_and_ffmpeg(installation: Installation) -> None:
    [id] = await installation.submit([HOUR])
    await until_it_has_progress(installation, id)
    assert installation.children("extractor", "ffmpeg")
    assert await installation.submissions.cancel([id]) == [id]
    before = await installation.contents(id)

    async def stopped() -> bool:
        return not installation.children("extractor", "ffmpeg") and not await installation.busy_slots()

    await eventually(stopped, within=20)  # usually 0.5 s; the hour takes minutes
    await asyncio.sleep(1)
    assert await installation.contents(id) == before, "nothing is written after a cancel"
    assert (await installation.jobs([id]))[0].state == "cancelled"


async def test_a_worker_that_was_stopped_past_its_time_writes_nothing_when_it_continues(
    installation: Installation,
) -> None:
    [id] = await installation.submit([TEN_MINUTES])
    await until_it_has_progress(installation, id)
    await stop_between_transactions(installation)
    reached = (await installation.reached([id]))[id]
    installation.start("second worker")
    began = time.monotonic()
    while not (later := [row for row in await installation.starts([id]) if row[1] > reached.attempt]):
        assert time.monotonic() - began < 60, installation.log("second worker")
        await asyncio.sleep(0.05)
    [(_, attempt, start)] = later
    assert (attempt > reached.attempt, start >= reached.previous_seconds) == (True, True)
    installation.stop("worker", signal.SIGCONT)
    while "is over" not in installation.log("worker"):
        await asyncio.sleep(0.05)
    assert (await installation.reached([id]))[id].attempt == attempt
    installation.kill("worker")
    [job] = await installation.finished([id], seconds=200)
    assert job.state == "done"
    segments = await installation.transcribed(job)
    assert segments == sorted(segments, key=lambda segment: segment.start)
    assert len({(segment.start, segment.text) for segment in segments}) == len(segments)


async def stop_between_transactions(installation: Installation) -> None:
    """Stop the worker where it holds no lock: PostgreSQL would end a transaction only after ``IDLE_SECONDS``."""
    while True:
        installation.stop("worker", signal.SIGSTOP)
        await asyncio.sleep(0.5)
        if not await installation.open_transactions():
            return
        installation.stop("worker", signal.SIGCONT)
        await asyncio.sleep(0.05)


async def until_it_has_progress(installation: Installation, id: int) -> None:
    while not (await installation.reached([id]))[id].seconds:
        await asyncio.sleep(0.05)
