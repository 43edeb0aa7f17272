"""Each machine on a host of its own, and faults of hosts and of the network between them: nothing is lost, nothing is
stored twice, no slot stays taken, and soon afterwards all is done.

SOAK=1 in the environment runs all faults, with 40 jobs each, for as long as such faults last.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from tests.end_to_end.crashes import DATABASE, Transcribed
from tests.end_to_end.hosts import EXTRACTOR, FAKETIME, ORCHESTRATOR, SECOND, TRANSCRIBER, TRANSCRIBERS, Hosts
from tests.end_to_end.network import why_none
from tests.end_to_end.recordings import BAD, make_recordings
from tests.guard import temporary_folder

SOAK = bool(os.environ.get("SOAK"))
JOBS = 40 if SOAK else 12
TIMEOUTS = "" if SOAK else "progress_timeout = 6\nworker_timeout = 4\n"
"""The soak runs with those of a fresh installation."""
RECOVERY_SECONDS = 45 if SOAK else 240
"""What is promised; other tests run next to the short ones."""
NEW_ATTEMPT_SECONDS = 0.15
"""How much the times of segments may differ: the voice detector has no context where an attempt begins."""
SLOW_BYTES_PER_SECOND = 400_000
"""From the extractor, so that a fault finds recordings on their way."""
MINUTES_OFF = 5

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare"),
    pytest.mark.skipif(bool(why_none()), reason=why_none()),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
]


async def link_cut(hosts: Hosts) -> None:
    """The extractor's cable is pulled and put back."""
    hosts.cable(EXTRACTOR).cut()
    await hosts.passes(30 if SOAK else 8)


async def slow_and_lossy(hosts: Hosts) -> None:
    """300 ms each way, and every twentieth frame lost, to the extractor and to one transcriber."""
    for name in (EXTRACTOR, TRANSCRIBER):
        hosts.cable(name).delay, hosts.cable(name).loss = 0.15, 0.05
    await hosts.passes(30)


async def half_open(hosts: Hosts) -> None:
    """Nothing arrives any more of what a transcriber sends, though it receives all."""
    hosts.cable(TRANSCRIBER).mute()
    await hosts.passes(60)


async def extractor_loses_power(hosts: Hosts) -> None:
    """It starts again and knows nothing of its connections, whose end no one has noticed."""
    hosts.cable(EXTRACTOR).cut()
    hosts.kill(EXTRACTOR)
    await hosts.passes(10 if SOAK else 3)
    hosts.start(EXTRACTOR)
    await hosts.ready(EXTRACTOR)


async def orchestrator_loses_power(hosts: Hosts) -> None:
    """The transcribers stop working for it, though nothing has reached them of its end, and much is left to do."""
    hosts.cable(EXTRACTOR).bytes_per_second = SLOW_BYTES_PER_SECOND / 20
    hosts.cable(ORCHESTRATOR).cut()
    hosts.kill(ORCHESTRATOR)
    await eventually_idle(hosts, RECOVERY_SECONDS)
    hosts.start(ORCHESTRATOR)


async def each_is_killed(hosts: Hosts) -> None:
    for name in (EXTRACTOR, TRANSCRIBER, SECOND, DATABASE, ORCHESTRATOR):
        hosts.kill(name)
        await hosts.passes(2)
        hosts.start(name)
        await hosts.passes(3)


async def both_transcribers_are_killed(hosts: Hosts) -> None:
    for name in TRANSCRIBERS:
        hosts.kill(name)
    await hosts.passes(10)
    for name in TRANSCRIBERS:
        hosts.start(name)


async def full_temporary_disks(hosts: Hosts) -> None:
    """Streams need no temporary file; a request that does is refused."""
    async with hosts.full_disk(EXTRACTOR), hosts.full_disk(TRANSCRIBER):
        body = {"savepath": "clips/05.flac", "audio_format": "wav", "delivery": "file"}
        refused = await hosts.request(EXTRACTOR, "POST", "/extract-audio", body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "no_room")
        await hosts.passes(15 if SOAK else 2)


async def database_is_stopped(hosts: Hosts) -> None:
    async with hosts.stopped(DATABASE):
        await asyncio.sleep(20)


async def clock_of_the_orchestrator_is_off(hosts: Hosts) -> None:
    await clock_is_off(hosts, ORCHESTRATOR)


async def clock_of_a_transcriber_is_off(hosts: Hosts) -> None:
    await clock_is_off(hosts, TRANSCRIBER)


async def clock_is_off(hosts: Hosts, name: str) -> None:
    """It is so after a restart, first ahead, then behind; then it is corrected."""
    if not FAKETIME:
        pytest.skip("needs Debian's package libfaketime")
    for minutes in (MINUTES_OFF, -MINUTES_OFF, 0):
        hosts.kill(name)
        hosts.start(name, clock=60 * minutes)
        await hosts.passes(10)


Fault = Callable[[Hosts], Awaitable[None]]
SELECTION: list[Fault] = [link_cut, extractor_loses_power, full_temporary_disks]
ALL: list[Fault] = [
    *SELECTION,
    slow_and_lossy,
    half_open,
    orchestrator_loses_power,
    each_is_killed,
    both_transcribers_are_killed,
    database_is_stopped,
    clock_of_the_orchestrator_is_off,
    clock_of_a_transcriber_is_off,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hosts(run_ffmpeg: Callable[..., None]) -> AsyncIterator[Hosts]:
    with temporary_folder("reelscribe-hosts-") as folder:
        async with Hosts(folder, TIMEOUTS) as running:
            make_recordings(running.bucket, run_ffmpeg, JOBS - len(BAD))
            await running.ready(EXTRACTOR, *TRANSCRIBERS, ORCHESTRATOR)
            yield running


@pytest.fixture(scope="module")
def savepaths() -> list[str]:
    clips = [f"clips/{number:02}.{'flac' if number % 12 == 5 else 'm4a'}" for number in range(JOBS - len(BAD))]
    return [*clips[:5], *BAD, *clips[5:]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def expected(hosts: Hosts, savepaths: list[str]) -> dict[str, list[Transcribed]]:
    """The transcripts if nothing happens."""
    jobs = await hosts.finished(await hosts.submit(savepaths), seconds=240)
    return {job.savepath: await hosts.transcribed(job) for job in jobs if job.state == "done"}


@pytest.mark.parametrize("fault", ALL if SOAK else SELECTION, ids=lambda fault: fault.__name__)
async def test_after_a_fault_all_is_done_once_and_nothing_is_left_over(
    hosts: Hosts,
    savepaths: list[str],
    expected: dict[str, list[Transcribed]],
    fault: Fault,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hosts.cable(EXTRACTOR).bytes_per_second = SLOW_BYTES_PER_SECOND
    ids = await hosts.submit(savepaths)
    await underway(hosts, ids)
    try:
        await fault(hosts)
    finally:
        for name in (ORCHESTRATOR, *TRANSCRIBERS, EXTRACTOR, DATABASE):
            hosts.cable(name).repair()
        hosts.cable(EXTRACTOR).bytes_per_second = None
    ended = time.monotonic()
    jobs = await hosts.finished(ids, RECOVERY_SECONDS)
    with capsys.disabled():
        print(f"\n{fault.__name__}: all done {time.monotonic() - ended:.1f} s after it", end="", flush=True)
    assert {job.savepath: job.error and job.error.code for job in jobs if job.state != "done"} == BAD
    for job in jobs:
        if job.state == "done":
            transcribed, undisturbed = await hosts.transcribed(job), expected[job.savepath]
            assert [segment.text for segment in transcribed] == [segment.text for segment in undisturbed], job.savepath
            for found, known in zip(transcribed, undisturbed, strict=True):
                assert (found.start, found.end) == pytest.approx((known.start, known.end), abs=NEW_ATTEMPT_SECONDS)
    await hosts.queue_empties(RECOVERY_SECONDS)
    assert await hosts.running_attempts(ids) == []
    await eventually_idle(hosts, RECOVERY_SECONDS)
    for name in PROGRAMS:
        before, traceback, after = hosts.log(name).partition("Traceback")
        assert not traceback, f"{name}: {before[-500:]}{traceback}{after[:5000]}"


PROGRAMS = (ORCHESTRATOR, *TRANSCRIBERS, EXTRACTOR)


async def underway(hosts: Hosts, ids: list[int]) -> None:
    """Wait until some are done, and many are not."""
    async with asyncio.timeout(60):
        while sum(job.state == "done" for job in await hosts.jobs(ids)) < 2:
            await asyncio.sleep(0.05)


async def eventually_idle(hosts: Hosts, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await hosts.idle():
        assert time.monotonic() < deadline, "slots are still taken, or FFmpeg still runs"
        await asyncio.sleep(0.2)
