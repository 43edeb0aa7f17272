"""Whatever process is killed, at whatever moment: nothing is lost, and nothing is stored twice.

CRASH_ROUNDS=20 and CRASH_SEED=… in the environment set the number of rounds and the random moments.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from itertools import combinations, cycle

import pytest

from tests.end_to_end.crashes import DATABASE, MODULES, WORKER_TIMEOUT, Installation, Reached, Transcribed
from tests.end_to_end.recordings import BAD, make_recordings
from tests.guard import temporary_folder

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "2"))
SEED = int(os.environ.get("CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
CRASHES = 5
"""Crashes per round; two rounds include all kinds."""
KINDS = [*combinations((*MODULES, DATABASE), 1), *combinations((*MODULES, DATABASE), 2)]
WINDOW_SECONDS = 30.0
START_SECONDS = 40.0
"""Longest start of a service on a busy host; it includes loading the model."""
NEW_ATTEMPT_SECONDS = 0.15
"""How much the times of segments may differ: the voice detector has no context where an attempt begins."""


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    with temporary_folder("reelscribe-crash-") as folder:
        async with Installation(folder) as running:
            yield running


@pytest.mark.timeout(600 + 300 * ROUNDS)
async def test_kills_and_restarts_lose_nothing_and_repeat_nothing(
    installation: Installation, run_ffmpeg: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)
    with capsys.disabled():
        print(f"\nCRASH_SEED={SEED}")
    savepaths = make_recordings(installation.bucket, run_ffmpeg)
    await installation.ready("transcriber", "extractor")
    undisturbed, expected = await one_run(installation, savepaths, [], chance)
    kinds = cycle(chance.sample(KINDS, len(KINDS)))
    for number in range(ROUNDS):
        crashes = [next(kinds) for _ in range(CRASHES)]
        took, transcribed = await one_run(installation, savepaths, crashes, chance)
        assert {savepath: texts(segments) for savepath, segments in transcribed.items()} == {
            savepath: texts(segments) for savepath, segments in expected.items()
        }
        for savepath, segments in transcribed.items():
            assert times(segments) == pytest.approx(times(expected[savepath]), abs=NEW_ATTEMPT_SECONDS), savepath
        lost = (took - undisturbed) / CRASHES
        with capsys.disabled():
            print(f"round {number + 1}: {', '.join(map('+'.join, crashes))}: {took:.1f} s, {lost:.1f} s lost per crash")
        assert lost < WORKER_TIMEOUT + START_SECONDS
    assert "Traceback" not in installation.log("worker")


def texts(segments: list[Transcribed]) -> list[str]:
    return [segment.text for segment in segments]


def times(segments: list[Transcribed]) -> list[float]:
    return [second for segment in segments for second in (segment.start, segment.end)]


async def one_run(
    installation: Installation, savepaths: list[str], crashes: list[tuple[str, ...]], chance: random.Random
) -> tuple[float, dict[str, list[Transcribed]]]:
    """Run all jobs; the seconds this took, and the segments of each good savepath."""
    began = time.monotonic()
    ids = await installation.submit(savepaths)
    moments: list[dict[int, Reached]] = []
    for crash in crashes:
        await asyncio.sleep(chance.uniform(0.3, 3))
        moments.append(await installation.reached(ids))
        for name in crash:
            installation.kill(name)
        await asyncio.sleep(chance.uniform(0, 1))
        for name in reversed(crash):  # the database before the services that need it
            installation.start(name)
    jobs = await installation.finished(ids, seconds=300)
    took = time.monotonic() - began
    assert {job.savepath: job.error and job.error.code for job in jobs if job.state != "done"} == BAD
    await installation.queue_empties(seconds=60)
    starts = await installation.starts(ids)
    for reached in moments:
        lost = [
            reached[id].seconds - start
            for id, attempt, start in starts
            if attempt > reached[id].attempt and start < reached[id].previous_seconds
        ]
        assert not lost, "an attempt began more than one window before the stored progress"
    return took, {job.savepath: await installation.transcribed(job) for job in jobs if job.state == "done"}
