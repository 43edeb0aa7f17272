"""Whatever is killed at whatever moment: nothing is lost, nothing is there twice.

CRASH_ROUNDS=20 and CRASH_SEED=… in the environment choose how often, and which moments.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from itertools import combinations, cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import SPEECH
from tests.end_to_end.crashes import WORKER_TIMEOUT, Heard, Installation, Place

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "3"))
SEED = int(os.environ.get("CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
CRASHES = 4
"""Of one round; three rounds are more than all the kinds there are."""
KINDS = ["A", "B", "C", "P", *map("".join, combinations("ABCP", 2))]
WINDOW_SECONDS = 30.0
START_SECONDS = 10.0
"""What a machine may take to start on a busy computer; the model is loaded then."""
BEGINS_ANEW_SECONDS = 0.15
"""How much the times of segments may differ: what judges silence has no memory where an attempt begins."""
LONG = 5
"""Of each twelve clips, the one that goes on to the end."""
BAD = {"bad/text.mp4": "not_decodable", "bad/cut.mp4": "incomplete_recording"}


def make_recordings(bucket: Path, run_ffmpeg: Callable[..., None]) -> list[str]:
    """48 clips of whole sentences, a few of more than one window, and two bad files.

    The small model is sure of these: where it is not, the words depend on what else is in a batch. The long ones are
    lossless, and at the rate that is transcribed: a lossy decoder hears something else where it begins in the middle.
    """
    sentences = json.loads((SPEECH / "minute.json").read_text())["segments"]
    savepaths = []
    (bucket / "clips").mkdir(parents=True)
    for number in range(48):
        first = number % 12 if number % 12 != LONG else number // 12
        last = len(sentences) - 1 if number % 12 == LONG else first + number // 12 % 3
        begin, end = max(0.0, sentences[first]["start"] - 0.3), sentences[last]["end"] + 0.3
        savepath = f"clips/{number:02}.{'flac' if number % 12 == LONG else 'm4a'}"
        cut = ("-ss", f"{begin}", "-t", f"{end - begin}", "-i", SPEECH / "minute.flac", "-ar", "16000")
        run_ffmpeg(*cut, bucket / savepath)
        savepaths.append(savepath)
    (bucket / "bad").mkdir()
    (bucket / "bad/text.mp4").write_text("no recording")
    run_ffmpeg("-i", SPEECH / "minute.flac", "-movflags", "+faststart", bucket / "bad/whole.mp4")
    whole = (bucket / "bad/whole.mp4").read_bytes()
    (bucket / "bad/cut.mp4").write_bytes(whole[: len(whole) // 2])
    return [*savepaths[:20], *BAD, *savepaths[20:]]


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    with TemporaryDirectory(prefix="reelscribe-crash-") as folder:
        async with Installation(Path(folder)) as running:
            yield running


@pytest.mark.timeout(180 + 90 * ROUNDS)
async def test_what_is_killed_and_started_again_loses_nothing_and_does_nothing_twice(
    installation: Installation, run_ffmpeg: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)
    with capsys.disabled():
        print(f"\nCRASH_SEED={SEED}")
    savepaths = make_recordings(installation.bucket, run_ffmpeg)
    await installation.ready("B", "C")
    undisturbed, expected = await one_run(installation, savepaths, [], chance)
    kinds = cycle(chance.sample(KINDS, len(KINDS)))
    for number in range(ROUNDS):
        crashes = [next(kinds) for _ in range(CRASHES)]
        took, heard = await one_run(installation, savepaths, crashes, chance)
        assert {savepath: texts(segments) for savepath, segments in heard.items()} == {
            savepath: texts(segments) for savepath, segments in expected.items()
        }
        for savepath, segments in heard.items():
            assert times(segments) == pytest.approx(times(expected[savepath]), abs=BEGINS_ANEW_SECONDS), savepath
        lost = (took - undisturbed) / CRASHES
        with capsys.disabled():
            print(f"round {number + 1}: {' '.join(crashes)}: {took:.1f} s, {lost:.1f} s lost per crash")
        assert lost < WORKER_TIMEOUT + START_SECONDS
    assert "Traceback" not in installation.log("A")


def texts(segments: list[Heard]) -> list[str]:
    return [segment.text for segment in segments]


def times(segments: list[Heard]) -> list[float]:
    return [second for segment in segments for second in (segment.start, segment.end)]


async def one_run(
    installation: Installation, savepaths: list[str], crashes: list[str], chance: random.Random
) -> tuple[float, dict[str, list[Heard]]]:
    """Seconds it took, and what was heard of each good savepath."""
    began = time.monotonic()
    ids = await installation.submit(savepaths)
    places: list[dict[int, Place]] = []
    for crash in crashes:
        await asyncio.sleep(chance.uniform(0.3, 3))
        places.append(await installation.places(ids))
        for name in crash:
            installation.kill(name)
        await asyncio.sleep(chance.uniform(0, 1))
        for name in reversed(crash):  # the database before those that need it
            installation.start(name)
    jobs = await installation.finished(ids, seconds=90)
    took = time.monotonic() - began
    assert {job.savepath: job.error and job.error.code for job in jobs if job.state != "done"} == BAD
    await installation.queue_empties(seconds=3 * WORKER_TIMEOUT)
    starts = await installation.starts(ids)
    for place in places:
        lost = [
            place[id].seconds - start
            for id, attempt, start in starts
            if attempt > place[id].attempt and start < place[id].previous_seconds
        ]
        assert not lost, "an attempt began more than one window before what was stored"
    return took, {job.savepath: await installation.heard(job) for job in jobs if job.state == "done"}
