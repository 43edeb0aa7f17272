"""How a command progresses: bars on a terminal, lines elsewhere, both on standard error."""

import sys
import time
from typing import Protocol

from rich.progress import BarColumn, TaskID, TextColumn
from rich.text import Text

from orchestrator.cli.bars import bars
from orchestrator.cli.console import COLOURS, closing_line, transcribed, visible
from orchestrator.jobs.models import Job, State

PLAIN_SECONDS = 10.0
"""How often a running job is mentioned if there is no terminal."""


class ProgressView(Protocol):
    """Shows jobs while they run."""

    def __enter__(self) -> "ProgressView": ...

    def __exit__(self, *exc_info: object) -> None: ...

    def show(self, job: Job) -> None:
        """The job as it is now; called repeatedly."""


class ProgressBars:
    """A bar for each job that runs, and a line for each that is finished."""

    def __init__(self) -> None:
        self._progress = bars(
            TextColumn("{task.fields[state]:<9}"),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[transcribed]}"),
            TextColumn("{task.fields[note]}", markup=False),
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
                self._progress.console.print(Text(closing_line(job), style=COLOURS[job.state]))
            return
        if job.id not in self._bars:
            self._bars[job.id] = self._progress.add_task(visible(job.savepath), state="", transcribed="", note="")
        self._progress.update(
            self._bars[job.id],
            total=job.declared_seconds,
            completed=job.progress_seconds,
            visible=job.state != "queued" or len(self._bars) == 1,
            state=job.state,
            transcribed=_progress_of(job, self._speed.of(job)),
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
        if job.state == "running" and (progress := _progress_of(job, speed)):
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


def _progress_of(job: Job, speed: str) -> str:
    return ", ".join(filter(None, (transcribed(job), speed)))
