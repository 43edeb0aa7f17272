"""How much of a transcriber's slots the orchestrator uses while jobs wait, with default settings: make bench-slots

Extractor, transcriber (the bundled model) and worker are real processes. The transcriber's own count of free slots is
asked for again and again from the first job that runs until no job waits any more.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import httpx
import psycopg
import typer

from bench import hardware
from bench.database import temporary_database
from bench.recordings import FOLDER
from bench.services import extractor, transcriber
from orchestrator.database.pool import prepare

LIMIT = 0.9
ASK_EVERY_SECONDS = 0.02
MINUTE = FOLDER / "minute.flac"


class Use(NamedTuple):
    """The slots that were taken.

    Attributes:
        share: of all slots, while jobs waited for one.
        seconds: from the first job that ran until the last was done.
        samples: how often the transcriber was asked while jobs waited.
    """

    share: float
    seconds: float
    samples: int


def main(
    recordings: Annotated[int, typer.Option(min=2, help="Recordings of 60 s.")] = 20,
    slots: Annotated[int, typer.Option(min=1, help="Slots of the transcriber (max_jobs).")] = 8,
    max_running: Annotated[str, typer.Option(help="Of the orchestrator; default: what the transcribers have.")] = "",
) -> None:
    """Measure and print the share; exit 1 if it is below the limit."""
    use = measure(recordings, slots, max_running)
    print(
        f"{hardware.describe()}: {recordings} recordings of 60 s, {slots} slots: {use.share:.1%} of them were taken "
        f"while jobs waited (limit {LIMIT:.0%}, {use.samples} samples); all done after {use.seconds:.1f} s"
    )
    raise typer.Exit(0 if use.share >= LIMIT else 1)


def measure(recordings: int, slots: int, max_running: str = "") -> Use:
    """Run all services, submit the recordings, and watch the slots."""
    with temporary_database() as (folder, url):
        prepare(url)
        bucket = folder / "minio" / "videos"
        bucket.mkdir(parents=True)
        for number in range(recordings):
            shutil.copy(MINUTE, bucket / f"{number:03}.flac")
        with (
            extractor(bucket) as (extractor_url, _),
            transcriber(extractor_url, max_jobs=slots) as (transcriber_url, _),
        ):
            config = folder / "config.cfg"
            config.write_text(
                f"[orchestrator]\ntranscriber_urls = {transcriber_url}\nextractor_url = {extractor_url}\n"
                f"max_running = {max_running}\n[database]\nurl = {url}\n"
            )
            with psycopg.connect(url, autocommit=True) as connection:
                return _watched(connection, config, transcriber_url, recordings)


def _watched(connection: psycopg.Connection, config: Path, url: str, recordings: int) -> Use:
    orchestrator = [sys.executable, "-m", "orchestrator"]
    savepaths = [f"{number:03}.flac" for number in range(recordings)]
    options = ["--config", str(config)]
    subprocess.run([*orchestrator, "submit", *savepaths, *options], check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen([*orchestrator, "worker", *options], stderr=subprocess.DEVNULL) as worker:
        try:
            return _use(connection, url, recordings)
        finally:
            worker.terminate()


def _use(connection: psycopg.Connection, url: str, recordings: int) -> Use:
    taken, began = [], 0.0
    with httpx.Client() as http:
        while True:
            states = dict(connection.execute("select state, count(*) from jobs group by state").fetchall())
            health = http.get(f"{url}/healthz").json()
            if not began and health["free"] < health["capacity"]:
                began = time.monotonic()
            if began and states.get("queued"):
                taken.append(1 - health["free"] / health["capacity"])
            if states.get("done") == recordings:
                return Use(sum(taken) / len(taken), time.monotonic() - began, len(taken))
            if states.get("failed"):
                raise SystemExit("a job failed")
            time.sleep(ASK_EVERY_SECONDS)


if __name__ == "__main__":
    typer.run(main)
