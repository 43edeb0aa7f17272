"""procrastinate without our code, with a task that only records when it runs.

python -m bench.baselines.bare_queue URL CONCURRENCY FILE is a worker; it appends one line per job to FILE: its number,
and the monotonic second at which it started.
"""

import asyncio
import sys
import time
from pathlib import Path

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.jobs import JobDeferrer
from procrastinate.schema import SchemaManager

from orchestrator.worker.worker import POLL_SECONDS

TASK = "bare"


def make_database(url: str) -> str:
    """A database with procrastinate's schema and nothing else, next to that of ``url``; its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"drop database if exists {TASK}")
        connection.execute(f"create database {TASK}")
    made = url.replace("/reelscribe?", f"/{TASK}?")
    with psycopg.connect(made, autocommit=True) as connection:
        connection.execute(SchemaManager.get_schema())
    return made


def make_app(url: str) -> App:
    """procrastinate on the database at ``url``, not opened yet."""
    return App(connector=PsycopgConnector(conninfo=url))


def task_of(app: App) -> JobDeferrer:
    """The task that defers jobs."""
    return app.configure_task(TASK)


async def main(url: str, concurrency: int, file: Path) -> None:
    """Work until the process is ended."""
    app = make_app(url)
    with file.open("a") as log:

        @app.task(name=TASK)
        async def bare(number: int) -> None:
            print(number, time.monotonic(), file=log, flush=True)

        async with app.open_async():
            await app.run_worker_async(
                concurrency=concurrency, fetch_job_polling_interval=POLL_SECONDS, delete_jobs="always"
            )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
