"""Jobs on a terminal: their table, and how those of ``submit --wait`` progress."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from orchestrator.jobs.models import Job, State

COLOURS: dict[State, str] = {
    "queued": "dim",
    "running": "cyan",
    "waiting": "yellow",
    "done": "green",
    "failed": "red",
    "cancelled": "magenta",
}
NO_WORKER = "no worker is running; start one with: orchestrator up (or serve, or worker)"
PLAIN_SECONDS = 10.0
"""How often a running job is mentioned if there is no terminal."""


def visible(text: str) -> str:
    """The text with what is not printable escaped: a savepath may hold line ends and terminal commands."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def job_table(jobs: Sequence[Job]) -> Table:
    """One row per job; with its bucket if there is more than one."""
    buckets = len({job.bucket for job in jobs}) > 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("ID", "STATE"):
        table.add_column(name, no_wrap=True)
    table.add_column("TRANSCRIBED", justify="right", no_wrap=True)
    if buckets:
        table.add_column("BUCKET", no_wrap=True)
    table.add_column("SAVEPATH", overflow="fold")
    for job in jobs:
        note = job.error.message if job.error else job.note
        table.add_row(
            str(job.id),
            Text(job.state, style=COLOURS[job.state]),
            _transcribed(job),
            *((Text(job.bucket),) if buckets else ()),
            Text.assemble(visible(job.savepath), (f"  {visible(note)}" if note else "", "dim")),
        )
    return table


def out() -> Console:
    """Standard output; as wide as needed if that is not a terminal, so that scripts see unbroken lines."""
    return Console(width=None if sys.stdout.isatty() else 2000, highlight=False)


def print_table(table: Table) -> None:
    """To standard output."""
    out().print(table)


def length(seconds: float) -> str:
    """A length of time in the unit that fits it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"


def print_json(value: object) -> None:
    """To standard output, for scripts."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def situation_line(job: Job, default_bucket: str) -> str:
    """A job and its state in words."""
    return f"{visible(job.savepath)}: {visible(job.situation(default_bucket))}"


def closing_line(job: Job) -> str:
    """What became of a job."""
    line = f"{job.state:<9} {visible(job.savepath)}"
    if job.error:
        return f"{line}: {visible(job.error.message)}"
    if job.state == "done" and job.started_at and job.finished_at:
        took = (job.finished_at - job.started_at).total_seconds()
        # The time of a job with several attempts holds what was done twice, and the waits between them.
        speed = f", {job.progress_seconds / took:.1f} x real time" if took > 0 and job.attempt == 1 else ""
        note = f"; {visible(job.note)}" if job.note else ""
        return f"{line}: {job.progress_seconds:.1f} s{speed}{note}"
    return line


class ProgressView(Protocol):
    """Shows jobs while they run."""

    def __enter__(self) -> "ProgressView": ...

    def __exit__(self, *exc_info: object) -> None: ...

    def show(self, job: Job) -> None:
        """The job as it is now; called repeatedly."""


class ProgressBars:
    """A bar for each job that runs, and a line for each that is finished."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.fields[state]:<9}"),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[transcribed]}"),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._bars: dict[int, TaskID] = {}
        self._finished: set[int] = set()
        self._speed = _Speed()

    def __enter__(self) -> "ProgressBars":
        self._progress.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._progress.stop()

    def show(self, job: Job) -> None:
        if job.finished:
            if job.id not in self._finished:
                self._finished.add(job.id)
                if job.id in self._bars:
                    self._progress.remove_task(self._bars.pop(job.id))
                self._console.print(Text(closing_line(job), style=COLOURS[job.state]))
            return
        if job.id not in self._bars:
            self._bars[job.id] = self._progress.add_task(visible(job.savepath), state="", transcribed="", note="")
        self._progress.update(
            self._bars[job.id],
            total=job.declared_seconds,
            completed=job.progress_seconds,
            visible=job.state != "queued" or len(self._bars) == 1,
            state=job.state,
            transcribed=_progress(job, self._speed.of(job)),
            note=visible(job.error.message) if job.error else "",
        )


class ProgressLines:
    """A line for each change, for logs and pipes."""

    def __init__(self) -> None:
        self._shown: dict[int, tuple[State, float]] = {}
        self._speed = _Speed()

    def __enter__(self) -> "ProgressLines":
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def show(self, job: Job) -> None:
        state, when = self._shown.get(job.id, (None, 0.0))
        speed = self._speed.of(job)
        if state == job.state and (job.state != "running" or time.monotonic() < when + PLAIN_SECONDS):
            return
        self._shown[job.id] = (job.state, time.monotonic())
        if state is None and job.state == "queued":
            return  # submit has just said so
        line = closing_line(job)
        if job.state == "running" and (progress := _progress(job, speed)):
            line += f": {progress}"
        print(line, file=sys.stderr, flush=True)


class _Speed:
    """Seconds of recording per second, since a job was first seen running."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[float, float]] = {}

    def of(self, job: Job) -> str:
        if job.state != "running":
            self._first.pop(job.id, None)
            return ""
        now = time.monotonic()
        began, transcribed = self._first.setdefault(job.id, (now, job.progress_seconds))
        took = now - began
        return f"{(job.progress_seconds - transcribed) / took:.1f} x real time" if took >= 1 else ""


def _progress(job: Job, speed: str) -> str:
    return ", ".join(filter(None, (_transcribed(job), speed)))


def _transcribed(job: Job) -> str:
    if job.declared_seconds is None:
        return f"{job.progress_seconds:.1f} s" if job.progress_seconds else ""
    return f"{min(job.progress_seconds, job.declared_seconds):.1f} of {job.declared_seconds:.1f} s"
