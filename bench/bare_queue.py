"""procrastinate as it comes, with a task that only writes down that it runs.

python -m bench.bare_queue URL CONCURRENCY FILE is a worker; it appends a line for each job to FILE: its number, and the
monotonic second it began.
"""

import asyncio
import sys
import time
from pathlib import Path

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import JobDeferrer

from orchestrator.worker.worker import POLL_SECONDS

TASK = "bare"


def make_app(url: str) -> App:
    """procrastinate in the database at ``url``; to be opened."""
    return App(connector=PsycopgConnector(conninfo=url))


def task_of(app: App) -> JobDeferrer:
    """What puts jobs into the queue."""
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
