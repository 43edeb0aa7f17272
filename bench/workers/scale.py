"""What many workers do to one PostgreSQL: its connections and CPU time while they wait, and for each job and window.

make bench-scale; prints a table and writes bench/results/scale.json.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import psutil
import psycopg
import typer
from rich.console import Console
from rich.table import Table

from bench import hardware
from bench.database import temporary_database
from bench.workers.dispatching import BUCKET, database, ours, submissions_of, wait_until_empty
from orchestrator.database.pool import make_pool
from orchestrator.jobs.models import Options

RESULTS = Path(__file__).parent.parent / "results" / "scale.json"
MOST_CONNECTIONS = 1000
IDLE_SECONDS = 20.0
LONG_WINDOWS = 50
"""Of a recording whose windows are written one by one: 2 segments each."""


def main(
    workers: Annotated[str, typer.Option(help="Numbers of workers, with commas between them.")] = "1,10,50",
    jobs: Annotated[int, typer.Option(min=1, help="Short jobs for each number of workers.")] = 2000,
    recordings: Annotated[int, typer.Option(min=1, help="Long recordings.")] = 100,
    quick: Annotated[bool, typer.Option("--quick", help="Just enough to show that it runs; nothing is saved.")] = False,
) -> None:
    """Measure and print the results."""
    idle_seconds = IDLE_SECONDS
    if quick:
        workers, jobs, recordings, idle_seconds = "1,2", 20, 2, 1.0
    report: dict[str, Any] = {"machine": hardware.describe(), "load_before": round(os.getloadavg()[0], 1)}
    with temporary_database(MOST_CONNECTIONS) as (folder, url):
        report["by_workers"] = [by_workers(url, folder, int(count), jobs, idle_seconds) for count in workers.split(",")]
        report["long"] = long_recordings(url, folder, recordings)
    show(report)
    if not quick:
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def by_workers(url: str, folder: Path, count: int, jobs: int, idle_seconds: float) -> dict[str, Any]:
    """Start so many workers, let them wait, and then give them short jobs."""
    ours_url = database(url, f"ours_{count}")
    with ours(ours_url, folder, count), psycopg.connect(ours_url, autocommit=True) as connection:
        connections = _connections(connection)
        cpu, commits = _cpu_seconds(connection), _commits(connection)
        time.sleep(idle_seconds)
        idle_cpu, idle_commits = _cpu_seconds(connection) - cpu, _commits(connection) - commits
        cpu = _cpu_seconds(connection)
        took = asyncio.run(_run(ours_url, "short", jobs))
        return {
            "workers": count,
            "connections": connections,
            "most_connections": _connections(connection),
            "idle_transactions_per_s": round(idle_commits / idle_seconds, 1),
            "idle_cpu_percent": round(100 * idle_cpu / idle_seconds, 2),
            "jobs_per_s": round(jobs / took, 1),
            "cpu_ms_per_job": round(1000 * (_cpu_seconds(connection) - cpu) / jobs, 2),
        }


def long_recordings(url: str, folder: Path, recordings: int) -> dict[str, Any]:
    """What one window costs that is written by itself, with one worker."""
    ours_url = database(url, "long")
    with ours(ours_url, folder, 1, LONG_WINDOWS), psycopg.connect(ours_url, autocommit=True) as connection:
        cpu = _cpu_seconds(connection)
        took = asyncio.run(_run(ours_url, "long", recordings))
        windows = recordings * LONG_WINDOWS
        return {
            "windows_per_s": round(windows / took, 1),
            "cpu_ms_per_window": round(1000 * (_cpu_seconds(connection) - cpu) / windows, 3),
        }


async def _run(url: str, name: str, jobs: int) -> float:
    async with make_pool(url) as pool:
        submission = (await submissions_of(pool)).begin(BUCKET, Options())
        await submission.take({f"{name}/{number}": None for number in range(jobs)})
    with psycopg.connect(url, autocommit=True) as connection:
        return wait_until_empty(connection)


def _connections(connection: psycopg.Connection) -> int:
    """Of all workers together: those of this database but for our own."""
    [number] = connection.execute(
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    ).fetchone() or [0]
    return int(number)


def _commits(connection: psycopg.Connection) -> int:
    connection.execute("select pg_stat_clear_snapshot()")
    [number] = connection.execute(
        "select xact_commit from pg_stat_database where datname = current_database()"
    ).fetchone() or [0]
    return int(number)


def _cpu_seconds(connection: psycopg.Connection) -> float:
    """Of PostgreSQL's processes that live now, and of those that have ended."""
    server = psutil.Process(connection.info.backend_pid).parent()
    assert server
    ended = server.cpu_times()
    total: float = ended.user + ended.system + ended.children_user + ended.children_system
    for child in server.children():
        times = child.cpu_times()
        total += times.user + times.system
    return total


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    console = Console(highlight=False)
    console.print(f"{report['machine']}; load before {report['load_before']}")
    table = Table(title="Workers on one PostgreSQL")
    for heading in ("workers", "connections", "idle: transactions/s", "idle: CPU", "jobs/s", "CPU of a job"):
        table.add_column(heading, justify="right")
    for row in report["by_workers"]:
        table.add_row(
            str(row["workers"]),
            str(row["most_connections"]),
            str(row["idle_transactions_per_s"]),
            f"{row['idle_cpu_percent']} %",
            str(row["jobs_per_s"]),
            f"{row['cpu_ms_per_job']} ms",
        )
    console.print(table)
    long = report["long"]
    console.print(f"a window by itself: {long['cpu_ms_per_window']} ms of PostgreSQL; {long['windows_per_s']} a second")


if __name__ == "__main__":
    typer.run(main)
