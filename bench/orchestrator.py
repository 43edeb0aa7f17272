"""The orchestrator's own work: the time it adds to a job, its jobs per second, and at size, with a million savepaths,
the time for submission, status and lists. Baselines are bare procrastinate and a bare COPY, on the same PostgreSQL in
the same run: make bench-orchestrator

Prints tables and writes bench/results/orchestrator.json.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import psutil
import psycopg
import typer
from procrastinate.types import JSONDict
from rich.console import Console
from rich.table import Table

from bench import hardware
from bench.baselines import bare_queue
from bench.database import temporary_database
from bench.workers import dispatching
from bench.workers.dispatching import BUCKET, summary
from orchestrator.database.pool import Pool, make_pool, prepare
from orchestrator.intake.submission import CHUNK
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs import stats
from orchestrator.jobs.models import Options
from orchestrator.jobs.stats import overview
from orchestrator.queue import rules
from orchestrator.queue.order import EVERYTHING

RESULTS = Path(__file__).parent / "results" / "orchestrator.json"
LIMIT_SECONDS = 90.0
LIMIT_MB = 500.0
LIMIT_MS = 50.0
BASELINE_QUERY = "baseline: count(*) by state"
LIMIT_BEHIND_SECONDS = 1.0
PREFIX = "youtube/"
BEHIND = "talk.mp4"
BARE_JOBS = 50_000
"""Jobs of bare procrastinate; their time is extrapolated to all jobs."""


def main(
    rows: Annotated[int, typer.Option(min=1, help="Savepaths to submit.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each query.")] = 40,
    dispatches: Annotated[int, typer.Option(min=1, help="Jobs submitted one by one, each to an idle worker.")] = 200,
    jobs: Annotated[int, typer.Option(min=1, max=CHUNK, help="Jobs submitted together to two workers.")] = 3000,
    quick: Annotated[bool, typer.Option("--quick", help="Just enough to show that it runs; nothing is saved.")] = False,
) -> None:
    """Measure the orchestrator and print the results."""
    if quick:
        rows, rounds, dispatches, jobs = 2000, 2, 5, 40
    with temporary_database() as (folder, url):
        report: dict[str, Any] = {"machine": hardware.describe(), "load_before": round(os.getloadavg()[0], 1)}
        report |= dispatching.measure(url, folder, dispatches, jobs)
        report |= at_size(url, folder, rows, rounds)
    show(report)
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def at_size(url: str, folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Submit ``rows`` savepaths twice, then run each of the usual queries ``rounds`` times."""
    (folder / "list.txt").write_text("".join(f"{PREFIX}{n % 365:03}/video-{n:08}.mp4\n" for n in range(rows)))
    prepare(url)
    copied = bare_copy(url, folder / "list.txt")
    deferring = min(BARE_JOBS, rows)
    deferred = asyncio.run(bare_procrastinate(bare_queue.make_database(url), deferring)) * rows / deferring
    return {
        "savepaths": rows,
        "limit_seconds": LIMIT_SECONDS,
        "limit_mb": LIMIT_MB,
        "limit_ms": LIMIT_MS,
        "limit_behind_seconds": LIMIT_BEHIND_SECONDS,
        "submit": submit(folder, url, "new"),
        "submit_again": submit(folder, url, "known"),
        "baseline_copy_seconds": round(copied, 3),
        "baseline_procrastinate_seconds": round(deferred, 3),
        "queries": asyncio.run(queries(url, rows, rounds)),
        "baseline_query": BASELINE_QUERY,
        "behind_paused_seconds": round(asyncio.run(behind_paused(url, folder)), 3),
    }


def submit(folder: Path, url: str, outcome: str) -> dict[str, float]:
    """Run ``orchestrator submit --from-file`` as a user does; its seconds and its peak memory in MB."""
    (folder / "config.cfg").write_text(f"[database]\nurl = {url}\n")
    began = time.monotonic()
    command = subprocess.Popen(
        [
            *(sys.executable, "-m", "orchestrator", "submit", "--json"),
            *("--from-file", folder / "list.txt", "--config", folder / "config.cfg"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    most = _most_memory(command)
    out, _ = command.communicate()
    took = time.monotonic() - began
    assert json.loads(out)["totals"][outcome] > 0, out
    return {"seconds": round(took, 2), "most_mb": round(most() / 1e6)}


def _most_memory(command: "subprocess.Popen[bytes]") -> Callable[[], int]:
    most = 0

    def watch() -> None:
        nonlocal most
        process = psutil.Process(command.pid)
        try:
            while command.returncode is None:
                most = max(most, process.memory_info().rss)
                time.sleep(0.1)
        except psutil.Error:
            return

    threading.Thread(target=watch, daemon=True).start()
    return lambda: most


def bare_copy(url: str, savepaths: Path) -> float:
    """Seconds of a COPY of the same list into a table with the columns and indexes of a minimal queue."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "create table bare (id bigint generated always as identity primary key, savepath text unique not null,"
            " state text not null default 'queued')"
        )
        began = time.monotonic()
        with savepaths.open("rb") as lines, connection.cursor().copy("copy bare (savepath) from stdin") as copy:
            while block := lines.read(1 << 20):
                copy.write(block)
        took = time.monotonic() - began
        connection.execute("drop table bare")
    return took


async def bare_procrastinate(url: str, jobs: int) -> float:
    """Seconds of procrastinate's own batch defer, in chunks as large as ours."""
    app = bare_queue.make_app(url)
    task = bare_queue.task_of(app)
    async with app.open_async():
        began = time.monotonic()
        for first in range(0, jobs, CHUNK):
            chunk: list[JSONDict] = [{"number": number} for number in range(first, min(first + CHUNK, jobs))]
            await task.batch_defer_async(*chunk)
        return time.monotonic() - began


async def queries(url: str, jobs: int, rounds: int) -> dict[str, dict[str, float]]:
    """Times of the queries of status and lists, in milliseconds."""

    def listing(**options: Any) -> Callable[[psycopg.AsyncConnection[Any]], Awaitable[object]]:
        return lambda connection: job_queries.list_jobs(connection, **options)

    asked: dict[str, Callable[[psycopg.AsyncConnection[Any]], Awaitable[object]]] = {
        "status": overview,
        "totals": stats.count_by_state,
        "figures of /metrics": stats.queue_figures,
        "newest 20 jobs": listing(limit=20),
        "page of 1000 in the middle": listing(after=jobs // 2, limit=1000),
        "page of queued jobs": listing(state="queued", after=jobs // 2, limit=100),
        "failed jobs, of which there are none": listing(state="failed", limit=100),
        "one savepath": lambda connection: job_queries.current_jobs(
            connection, BUCKET, [f"{PREFIX}{jobs // 2 % 365:03}/video-{jobs // 2:08}.mp4"], Options()
        ),
        BASELINE_QUERY: _scan,
    }
    async with make_pool(url) as pool:
        return {what: await _timed(pool, ask, rounds) for what, ask in asked.items()}


async def behind_paused(url: str, folder: Path) -> float:
    """Seconds from when one job may start, behind all the others, which are paused, until the transcriber is called."""
    async with make_pool(url) as pool:
        await (await dispatching.submissions_of(pool)).submit(BUCKET, [BEHIND], Options())
        async with pool.connection() as connection:
            for prefix in (PREFIX, EVERYTHING):
                await rules.pause(connection, prefix, "bench")
        with dispatching.ours(url, folder, 1) as starts:
            began = time.monotonic()
            async with pool.connection() as connection:
                await rules.resume(connection, EVERYTHING)
            savepath, second = (await asyncio.to_thread(_first_line, starts)).split()
    assert savepath == BEHIND
    return float(second) - began


def _first_line(file: Path) -> str:
    while not (line := file.read_text()).endswith("\n"):
        time.sleep(dispatching.ASK_EVERY_SECONDS)
    return line


async def _scan(connection: psycopg.AsyncConnection[Any]) -> object:
    found = await connection.execute("select state, count(*) from transcriptions where not superseded group by state")
    return await found.fetchall()


async def _timed(
    pool: Pool, ask: Callable[[psycopg.AsyncConnection[Any]], Awaitable[object]], rounds: int
) -> dict[str, float]:
    times = []
    for _ in range(rounds):
        async with pool.connection() as connection:
            began = time.perf_counter()
            await ask(connection)
            times.append((time.perf_counter() - began) * 1000)
    return summary(times)


def show(report: dict[str, Any]) -> None:
    """Print the report as tables."""
    console = Console(highlight=False)
    console.print(f"{report['machine']}; load before {report['load_before']}")
    show_dispatch(console, report["overhead"], report["throughput"])
    show_submit(console, report)
    table = Table(title=f"queries then (limit {report['limit_ms']:.0f} ms)")
    for heading in ("query", "median", "p95", "max"):
        table.add_column(heading, justify="left" if heading == "query" else "right")
    for what, row in report["queries"].items():
        table.add_row(what, *_milliseconds(row))
    console.print(table)


def show_dispatch(console: Console, overhead: dict[str, Any], throughput: dict[str, Any]) -> None:
    table = Table(title=f"{overhead['jobs']} jobs one by one (limit of the median: {overhead['limit_ms']:.0f} ms)")
    for heading in ("from the call", "median", "p95", "max"):
        table.add_column(heading, justify="left" if heading == "from the call" else "right")
    table.add_row("submit, until the transcriber is called", *_milliseconds(overhead["ours"]))
    table.add_row("baseline: bare procrastinate, until it runs", *_milliseconds(overhead["bare"]))
    console.print(table)
    workers, running = throughput["workers"], throughput["max_running"]
    table = Table(title=f"{throughput['jobs']:,} jobs together, {workers} workers with {running} jobs each")
    for heading in ("", "per second", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("an instant transcriber", f"{throughput['ours_per_s']:,.0f}", f"{throughput['ratio']:.2f}")
    table.add_row("baseline: bare procrastinate, an empty task", f"{throughput['bare_per_s']:,.0f}", "1.00")
    console.print(table)


def show_submit(console: Console, report: dict[str, Any]) -> None:
    new, again = report["submit"], report["submit_again"]
    table = Table(title=f"{report['savepaths']:,} savepaths")
    for heading in ("submit --from-file", "seconds", "per second", "ratio", "memory"):
        table.add_column(heading, justify="left" if heading.startswith("submit") else "right")
    rows = {
        f"all new (limit {report['limit_seconds']:.0f} s, {report['limit_mb']:.0f} MB)": new,
        "the same once more": again,
        "baseline: bare procrastinate": {"seconds": report["baseline_procrastinate_seconds"]},
        "baseline: bare COPY": {"seconds": report["baseline_copy_seconds"]},
    }
    for what, took in rows.items():
        rate = f"{report['savepaths'] / took['seconds']:,.0f}"
        memory = f"{took['most_mb']:.0f} MB" if "most_mb" in took else ""
        table.add_row(what, f"{took['seconds']:.1f}", rate, f"{took['seconds'] / new['seconds']:.2f}", memory)
    console.print(table)
    console.print(
        f"one job behind all of them, paused: {report['behind_paused_seconds']:.2f} s until the transcriber is called"
        f" (limit {report['limit_behind_seconds']:.0f} s)"
    )


def _milliseconds(row: dict[str, float]) -> list[str]:
    return [f"{row[name]:.1f} ms" for name in ("p50_ms", "p95_ms", "max_ms")]


if __name__ == "__main__":
    typer.run(main)
