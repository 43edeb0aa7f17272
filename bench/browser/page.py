"""Home of the web page: how soon a browser shows it, with a few jobs and with a million; the baseline is a page of one
sentence in the same browser: make bench-page

Prints a table and writes bench/results/page.json.
"""

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import psycopg
import typer
from playwright.sync_api import Browser
from rich.console import Console
from rich.table import Table

from bench import hardware
from bench.browser.chromium import chromium
from bench.database import temporary_database
from bench.orchestrator import submit
from bench.services import orchestrator
from bench.workers import dispatching
from orchestrator.database.pool import prepare

RESULTS = Path(__file__).parent.parent / "results" / "page.json"
FEW = 10
FEW_LIMIT_MS, MANY_LIMIT_MS = 200.0, 300.0
FOLDERS = 365

REQUESTS = {
    "the page": "/",
    "newest 50 jobs": "/api/jobs?limit=50",
    "failed jobs": "/api/jobs?limit=50&state=failed",
    "a page in the middle": "/api/jobs?limit=50&after={middle}",
    "a prefix of one folder": "/api/jobs?limit=50&prefix=youtube/007/",
    "a prefix of all": "/api/jobs?limit=50&prefix=youtube/",
    "a prefix of none": "/api/jobs?limit=50&prefix=vimeo/",
    "text in all savepaths": "/api/jobs?limit=50&text=MP4",
    "text in none: one step back": "/api/jobs?limit=50&text=nowhere",
    "text in none, of failed jobs": "/api/jobs?limit=50&state=failed&text=nowhere",
    "status": "/api/status",
    "throughput": "/api/throughput",
    "pauses": "/api/pauses",
}
"""What the page asks for, and the worst of what its filters can ask for."""

PAINTED = """() => new Promise(resolve => {
    const look = () => {
        const [paint] = performance.getEntriesByName('first-contentful-paint');
        paint ? resolve(paint.startTime) : setTimeout(look, 5);
    };
    look();
})"""


def main(
    rows: Annotated[int, typer.Option(min=100, help="Jobs of the large queue.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each thing is asked for.")] = 20,
    quick: Annotated[bool, typer.Option("--quick", help="Just enough to show that it runs; nothing is saved.")] = False,
) -> None:
    """Measure the page and print the results."""
    if quick:
        rows, rounds = 2000, 2
    report: dict[str, Any] = {"machine": hardware.describe(), "load_before": round(os.getloadavg()[0], 1)}
    report |= {"jobs": rows, "few": FEW, "few_limit_ms": FEW_LIMIT_MS, "many_limit_ms": MANY_LIMIT_MS}
    with temporary_database() as (folder, url), chromium() as browser:
        report["browser"] = f"Chromium {browser.version}"
        prepare(url)
        fill(url, folder, FEW)
        with orchestrator(folder, url) as (page, _):
            report["painted_nothing"] = painted(browser, f"{page}/nowhere", rounds)
            report["painted_few"] = painted(browser, page, rounds)
        fill(url, folder, rows)
        with orchestrator(folder, url) as (page, _):
            report["painted_many"] = painted(browser, page, rounds)
            report["requests"] = answered(page, rows, rounds)
    show(report)
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def fill(url: str, folder: Path, rows: int) -> None:
    """Submit so many savepaths; then most are done, some have failed, and the others wait."""
    names = (f"youtube/{number % FOLDERS:03}/video-{number:08}.mp4\n" for number in range(rows))
    (folder / "list.txt").write_text("".join(names))
    submit(folder, url, "new")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter table jobs disable trigger notify_changed_job")
        connection.execute(
            """
            update jobs set state = 'done', complete = true, attempt = 1, model = 'large-v3-turbo', language = 'en',
                language_probability = 0.98, declared_seconds = 600 + mod(id, 3000),
                progress_seconds = 600 + mod(id, 3000),
                started_at = now() - (%(rows)s - id) * interval '0.2 s' - interval '1 min',
                finished_at = now() - (%(rows)s - id) * interval '0.2 s'
            where state = 'queued' and mod(id, 10) < 7
            """,
            {"rows": rows},
        )
        connection.execute(
            """
            update jobs set state = 'failed', error_code = 'object_not_found', attempt = 1,
                finished_at = now() - (%(rows)s - id) * interval '0.2 s',
                error_message = 'there is no such object in bucket videos; look at its name'
            where state = 'queued' and mod(id, 100) = 8
            """,
            {"rows": rows},
        )
        connection.execute(
            """
            insert into attempts (transcription_id, attempt, transcriber_url, started_at, ended_at, start_seconds)
            select id, 1, 'http://transcriber:8889', started_at, finished_at, 0 from jobs where state = 'done'
            on conflict do nothing
            """
        )
        connection.execute("alter table jobs enable trigger notify_changed_job")
        connection.execute(
            "delete from procrastinate_jobs q using jobs j where j.queue_job = q.id and j.finished_at is not null"
        )
        connection.execute("vacuum (analyze)")


def summary(times_ms: list[float]) -> dict[str, float]:
    """Of times in milliseconds; other work on the host adds least to the shortest."""
    return {"min_ms": round(min(times_ms), 2), **dispatching.summary(times_ms)}


def painted(browser: Browser, url: str, rounds: int) -> dict[str, float]:
    """Milliseconds from the start of the navigation to the first content, each time in a fresh profile."""
    times = []
    for _ in range(rounds + 1):
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(url, wait_until="commit")
            times.append(float(page.evaluate(PAINTED)))
    return summary(times[1:])


def answered(url: str, rows: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each request, from a client on this host."""
    found = {}
    with httpx.Client(base_url=url, timeout=60) as client:
        while not client.get("/api/throughput").json()["complete"]:
            pass
        for what, path in REQUESTS.items():
            times = []
            for _ in range(rounds):
                began = time.perf_counter()
                client.get(path.format(middle=rows // 2)).raise_for_status()
                times.append((time.perf_counter() - began) * 1000)
            found[what] = summary(times)
    return found


def rows_of(report: dict[str, Any]) -> list[tuple[str, dict[str, float], float | None]]:
    """What was measured, and its limit."""
    return [
        ("baseline: first content of a page with one sentence", report["painted_nothing"], None),
        (f"first content, {report['few']} jobs", report["painted_few"], report["few_limit_ms"]),
        (f"first content, {report['jobs']:,} jobs", report["painted_many"], report["many_limit_ms"]),
        *((f"request: {what}", times, None) for what, times in report["requests"].items()),
    ]


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    console = Console(highlight=False)
    console.print(f"{report['machine']}; {report['browser']}; load before {report['load_before']}")
    table = Table(title=f"{report['jobs']:,} jobs")
    for heading in ("", "fastest", "median", "p95", "max", "limit"):
        table.add_column(heading, justify="right" if heading else "left")
    for what, times, limit in rows_of(report):
        shown = [f"{times[name]:.0f} ms" for name in ("min_ms", "p50_ms", "p95_ms", "max_ms")]
        table.add_row(what, *shown, f"{limit:.0f} ms" if limit else "")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
