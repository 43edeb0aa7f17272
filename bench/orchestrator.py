"""Machine A at size: submitting a million savepaths, against a bare COPY and a bare procrastinate, and what status and
lists take then. Run it: python -m bench.orchestrator

Prints tables, and writes bench/results/orchestrator.json.
"""

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import psutil
import psycopg
import typer
from procrastinate import App, PsycopgConnector
from rich.console import Console
from rich.table import Table

from orchestrator import embedded, store
from orchestrator.database import Pool, make_pool, prepare
from orchestrator.jobs import Options
from orchestrator.overview import overview

RESULTS = Path(__file__).parent / "results" / "orchestrator.json"
BUCKET = "videos"
LIMIT_SECONDS = 90.0
LIMIT_MB = 500.0
LIMIT_MS = 50.0
BARE_JOBS = 50_000
"""Jobs of the bare procrastinate, whose time is then taken for as many as all."""


def main(
    savepaths: Annotated[int, typer.Option(help="Savepaths to submit.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(help="Times each query is asked.")] = 40,
) -> None:
    """Measure, print and write down what came out."""
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name, embedded.running(Path(name) / "data") as url:
        folder = Path(name)
        (folder / "list.txt").write_text("".join(f"youtube/{n % 365:03}/video-{n:08}.mp4\n" for n in range(savepaths)))
        prepare(url)
        copied = bare_copy(url, folder / "list.txt")
        deferred = (
            asyncio.run(bare_procrastinate(url, min(BARE_JOBS, savepaths))) * savepaths / min(BARE_JOBS, savepaths)
        )
        report: dict[str, Any] = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            "load_before": round(os.getloadavg()[0], 1),
            "savepaths": savepaths,
            "submit": submit(folder, url, "new"),
            "submit_again": submit(folder, url, "known"),
            "baseline_copy_seconds": round(copied, 1),
            "baseline_procrastinate_seconds": round(deferred, 1),
            "queries": asyncio.run(queries(url, savepaths, rounds)),
        }
    show(report)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def submit(folder: Path, url: str, outcome: str) -> dict[str, float]:
    """``orchestrator submit --from-file`` as a user starts it: seconds, and the most memory it held, in MB."""
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
    return {"seconds": round(took, 1), "most_mb": round(most() / 1e6)}


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
    """Seconds of COPY of the same list into a table with the columns and indexes of a minimal queue."""
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
    """Seconds of procrastinate's own batch of deferred jobs, in chunks as large as ours."""
    app = App(connector=PsycopgConnector(conninfo=url))
    task = app.configure_task("bare", queue="bare")
    async with app.open_async():
        began = time.monotonic()
        for first in range(0, jobs, 5_000):
            await task.batch_defer_async(*({"number": number} for number in range(first, min(first + 5_000, jobs))))
        took = time.monotonic() - began
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("truncate procrastinate_jobs, procrastinate_events, procrastinate_periodic_defers")
    return took


async def queries(url: str, jobs: int, rounds: int) -> dict[str, dict[str, float]]:
    """What status and lists ask, in milliseconds."""

    def listing(**options: Any) -> Callable[[psycopg.AsyncConnection[Any]], Awaitable[object]]:
        return lambda connection: store.list_jobs(connection, **options)

    asked: dict[str, Callable[[psycopg.AsyncConnection[Any]], Awaitable[object]]] = {
        "status": overview,
        "totals": store.count_by_state,
        "newest 20 jobs": listing(limit=20),
        "page of 1000 in the middle": listing(after=jobs // 2, limit=1000),
        "page of queued jobs": listing(state="queued", after=jobs // 2, limit=100),
        "failed jobs, of which there are none": listing(state="failed", limit=100),
        "one savepath": lambda connection: store.current_jobs(
            connection, BUCKET, [f"youtube/{jobs // 2 % 365:03}/video-{jobs // 2:08}.mp4"], Options()
        ),
        "baseline: count(*) by state": _scan,
    }
    async with make_pool(url) as pool:
        return {what: await _timed(pool, ask, rounds) for what, ask in asked.items()}


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
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return {"p50_ms": round(statistics.median(ordered), 2), "p95_ms": round(p95, 2), "max_ms": round(ordered[-1], 2)}


def show(report: dict[str, Any]) -> None:
    """Print the report."""
    console = Console(highlight=False)
    new = report["submit"]
    table = Table(title=f"{report['savepaths']:,} savepaths; {report['machine']}; load before {report['load_before']}")
    for heading in ("submit --from-file", "seconds", "a second", "ratio", "memory"):
        table.add_column(heading, justify="left" if heading.startswith("submit") else "right")
    rows = {
        f"all new (limit {LIMIT_SECONDS:.0f} s, {LIMIT_MB:.0f} MB)": (new["seconds"], f"{new['most_mb']:.0f} MB"),
        "the same once more": (report["submit_again"]["seconds"], f"{report['submit_again']['most_mb']:.0f} MB"),
        "baseline: bare procrastinate": (report["baseline_procrastinate_seconds"], ""),
        "baseline: bare COPY": (report["baseline_copy_seconds"], ""),
    }
    for what, (seconds, memory) in rows.items():
        rate = f"{report['savepaths'] / max(seconds, 0.1):,.0f}"
        table.add_row(what, f"{seconds:.1f}", rate, f"{seconds / new['seconds']:.2f}", memory)
    console.print(table)
    table = Table(title=f"queries then (limit {LIMIT_MS:.0f} ms)")
    for heading in ("query", "median", "p95", "max"):
        table.add_column(heading, justify="left" if heading == "query" else "right")
    for what, row in report["queries"].items():
        table.add_row(what, *(f"{row[name]:.1f} ms" for name in ("p50_ms", "p95_ms", "max_ms")))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
