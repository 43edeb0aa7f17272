"""From a submission to the transcriber: the time of one job, and jobs per second, compared with bare procrastinate.

Both have a database of their own on the same PostgreSQL, workers in processes of their own, and the same number of
concurrent jobs. Each job of ours is taken, sent to the transcriber, and its transcript is stored; a bare job does
nothing.
"""

import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from procrastinate.types import JSONDict

from bench.baselines import bare_queue
from bench.services import served
from orchestrator.database.pool import Pool, make_pool, prepare
from orchestrator.intake.submission import Submissions
from orchestrator.jobs.models import Options
from orchestrator.queue.procrastinate import Queue

BUCKET = "videos"
LIMIT_MS = 100.0
WORKERS = 2
RUNNING = 4
"""Jobs that each worker runs at the same time."""

WARM_UP = 5
QUIET_SECONDS = 0.06
"""Pause after each job, extended by a random time of up to as much again, so that jobs do not keep step with what the
worker does periodically."""
ASK_EVERY_SECONDS = 0.02

Calls = dict[str, float]
"""Numbers of jobs, and the monotonic second at which each was submitted."""


def measure(url: str, folder: Path, dispatches: int, jobs: int) -> dict[str, Any]:
    """Submit ``dispatches`` jobs one by one, each to an idle worker, and then ``jobs`` together to two workers.

    Args:
        url: of a PostgreSQL in which databases may be created.
        jobs: at most :data:`orchestrator.intake.submission.CHUNK`, so that they are one transaction.
    """
    ours_url, bare_url = database(url, "ours"), bare_queue.make_database(url)
    with ours(ours_url, folder, 1) as starts:
        ours_ms = _overheads(asyncio.run(_ours_one_by_one(ours_url, dispatches)), starts)
    with bare(bare_url, folder, 1) as starts:
        bare_ms = _overheads(asyncio.run(_bare_one_by_one(bare_url, dispatches)), starts)
    with ours(ours_url, folder, WORKERS):
        ours_s = asyncio.run(_ours_together(ours_url, jobs))
    with bare(bare_url, folder, WORKERS):
        bare_s = asyncio.run(_bare_together(bare_url, jobs))
    return {
        "overhead": {"jobs": dispatches, "limit_ms": LIMIT_MS, "ours": summary(ours_ms), "bare": summary(bare_ms)},
        "throughput": {
            "jobs": jobs,
            "workers": WORKERS,
            "max_running": RUNNING,
            "ours_per_s": round(jobs / ours_s, 1),
            "bare_per_s": round(jobs / bare_s, 1),
            "ratio": round(bare_s / ours_s, 3),
        },
    }


def summary(times_ms: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum of times in milliseconds."""
    ordered = sorted(times_ms)
    return {
        "p50_ms": round(statistics.median(ordered), 2),
        "p95_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 2),
        "max_ms": round(ordered[-1], 2),
    }


@contextmanager
def ours(url: str, folder: Path, workers: int, windows: int = 1) -> Iterator[Path]:
    """Run an instant transcriber, and workers as a user starts them, on another database; the transcriber's log.

    Args:
        windows: of each recording.
    """
    starts = folder / "requests"
    instant = [sys.executable, "-m", "bench.workers.instant_transcriber", str(starts), str(windows)]
    with served(instant, folder) as (transcriber, _):
        config = folder / "workers.cfg"
        config.write_text(
            f"[orchestrator]\ntranscriber_urls = {transcriber}\nmax_running = {RUNNING}\n[database]\nurl = {url}\n"
        )
        command = [sys.executable, "-m", "orchestrator", "worker", "--config", str(config)]
        with _workers(command, workers, url, folder):
            yield starts


@contextmanager
def bare(url: str, folder: Path, workers: int) -> Iterator[Path]:
    """Run workers of bare procrastinate; the log of what they run."""
    starts = folder / "starts"
    starts.unlink(missing_ok=True)
    with _workers(
        [sys.executable, "-m", "bench.baselines.bare_queue", url, str(RUNNING), str(starts)], workers, url, folder
    ):
        yield starts


@contextmanager
def _workers(command: list[str], count: int, url: str, folder: Path) -> Iterator[None]:
    with ExitStack() as stack, (folder / "workers.log").open("w") as log:
        workers = [stack.enter_context(subprocess.Popen(command, stderr=log)) for _ in range(count)]
        for worker in workers:
            stack.callback(worker.terminate)
        with psycopg.connect(url, autocommit=True) as connection:
            while connection.execute("select count(*) from procrastinate_workers").fetchone() != (count,):
                if any(worker.poll() is not None for worker in workers):
                    raise SystemExit(f"a worker has ended:\n{(folder / 'workers.log').read_text()}")
                time.sleep(ASK_EVERY_SECONDS)
        time.sleep(1)  # a worker starts to listen just after it is registered
        yield


async def _ours_one_by_one(url: str, jobs: int) -> Calls:
    async with make_pool(url) as pool:
        submissions = await submissions_of(pool)

        async def submit(number: int) -> None:
            await submissions.submit(BUCKET, [str(number)], Options())

        return await _one_by_one(url, submit, jobs)


async def _bare_one_by_one(url: str, jobs: int) -> Calls:
    app = bare_queue.make_app(url)
    async with app.open_async():

        async def defer(number: int) -> None:
            await bare_queue.task_of(app).defer_async(number=number)

        return await _one_by_one(url, defer, jobs)


async def _one_by_one(url: str, submit: Callable[[int], Awaitable[None]], jobs: int) -> Calls:
    calls: Calls = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(WARM_UP + jobs):
            calls[str(number)] = time.monotonic()
            await submit(number)
            await asyncio.sleep(QUIET_SECONDS * (1 + random.random()))
            await asyncio.to_thread(wait_until_empty, connection)
    return calls


def _overheads(calls: Calls, starts: Path) -> list[float]:
    """Milliseconds from each call to the start of its job, as recorded in ``starts``."""
    began = {number: float(second) for number, second in map(str.split, starts.read_text().splitlines())}
    return [(began[number] - called) * 1000 for number, called in calls.items()][WARM_UP:]


async def _ours_together(url: str, jobs: int) -> float:
    async with make_pool(url) as pool:
        submission = (await submissions_of(pool)).begin(BUCKET, Options())
        await submission.take({f"many/{number}": None for number in range(jobs)})
    with psycopg.connect(url, autocommit=True) as connection:
        took = wait_until_empty(connection)
        assert connection.execute("select id from transcriptions where state <> 'done' limit 1").fetchone() is None
    return took


async def _bare_together(url: str, jobs: int) -> float:
    app = bare_queue.make_app(url)
    numbered: list[JSONDict] = [{"number": number} for number in range(jobs)]
    async with app.open_async():
        await bare_queue.task_of(app).batch_defer_async(*numbered)
    with psycopg.connect(url, autocommit=True) as connection:
        return wait_until_empty(connection)


def wait_until_empty(connection: psycopg.Connection) -> float:
    """Wait until the queue is empty; returns the seconds that this took."""
    began = time.monotonic()
    while connection.execute("select from procrastinate_jobs limit 1").rowcount:
        time.sleep(ASK_EVERY_SECONDS)
    return time.monotonic() - began


async def submissions_of(pool: Pool) -> Submissions:
    queue = Queue(pool)
    await queue.open()
    return Submissions(pool, queue)


def database(url: str, name: str) -> str:
    """Create a database next to that of ``url``, with our schema; its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    made = url.replace("/reelscribe?", f"/{name}?")
    prepare(made)
    return made
