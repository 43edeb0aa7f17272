"""Cancel reaches over A and B to ffmpeg on C, and a worker that stood still changes nothing when it goes on."""

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import SPEECH
from tests.end_to_end.crashes import WORKER_TIMEOUT, Installation

HOUR = "talks/hour.mkv"
TEN_MINUTES = "talks/ten_minutes.ogg"


@pytest.fixture
async def installation(run_ffmpeg: Callable[..., None]) -> AsyncIterator[Installation]:
    with TemporaryDirectory(prefix="reelscribe-cancel-") as folder:
        async with Installation(Path(folder)) as running:
            speech = SPEECH / "ten_minutes.ogg"
            (running.bucket / HOUR).parent.mkdir(parents=True)
            run_ffmpeg("-stream_loop", "5", "-i", speech, "-c", "copy", running.bucket / HOUR)
            shutil.copy(speech, running.bucket / TEN_MINUTES)
            await running.ready("B", "C")
            yield running


async def test_cancel_stops_machine_b_and_ffmpeg_within_two_seconds(installation: Installation) -> None:
    [id] = await installation.submit([HOUR])
    await until_it_is_heard(installation, id)
    assert installation.children("C", "ffmpeg")
    began = time.monotonic()
    assert await installation.submissions.cancel([id]) == [id]
    before = await installation.contents(id)
    while installation.children("C", "ffmpeg") or await installation.busy_places():
        await asyncio.sleep(0.02)
    assert time.monotonic() - began < 2
    await asyncio.sleep(1)
    assert await installation.contents(id) == before, "nothing is written after a cancel"
    assert (await installation.jobs([id]))[0].state == "cancelled"


async def test_a_worker_that_was_stopped_past_its_time_writes_nothing_when_it_goes_on(
    installation: Installation,
) -> None:
    [id] = await installation.submit([TEN_MINUTES])
    await until_it_is_heard(installation, id)
    installation.stop("A", signal.SIGSTOP)
    place = (await installation.places([id]))[id]
    installation.start("second A")
    began = time.monotonic()
    while (await installation.places([id]))[id].seconds <= place.seconds:
        assert time.monotonic() - began < 60, installation.log("second A")
        await asyncio.sleep(0.05)
    [(_, attempt, start)] = [row for row in await installation.starts([id]) if row[1] > place.attempt]
    assert (attempt > place.attempt, start >= place.previous_seconds) == (True, True)
    assert time.monotonic() - began < WORKER_TIMEOUT + 20
    installation.stop("A", signal.SIGCONT)
    while "is over" not in installation.log("A"):
        await asyncio.sleep(0.05)
    assert (await installation.places([id]))[id].attempt == attempt
    installation.kill("A")
    [job] = await installation.finished([id], seconds=90)
    assert job.state == "done"
    heard = await installation.heard(job)
    assert heard == sorted(heard, key=lambda segment: segment.start)
    assert len({(segment.start, segment.text) for segment in heard}) == len(heard)


async def until_it_is_heard(installation: Installation, id: int) -> None:
    while not (await installation.places([id]))[id].seconds:
        await asyncio.sleep(0.05)
