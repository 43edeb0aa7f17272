"""Jobs on a terminal: their table, and their lines."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.jobs.models import Job, State

if TYPE_CHECKING:  # it takes long to import, and not every command draws
    from rich.console import Console
    from rich.table import Table

COLOURS: dict[State, str] = {
    "queued": "dim",
    "running": "cyan",
    "waiting": "yellow",
    "done": "green",
    "failed": "red",
    "cancelled": "magenta",
}
NO_WORKER = "no worker is running; start one with: orchestrator up (or serve, or worker)"


def visible(text: str) -> str:
    """The text with what is not printable escaped: a savepath may hold line ends and terminal commands."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def job_table(jobs: Sequence[Job]) -> "Table":
    """One row per job; with its bucket if there is more than one."""
    from rich.table import Table
    from rich.text import Text

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
            transcribed(job),
            *((Text(job.bucket),) if buckets else ()),
            Text.assemble(visible(job.savepath), (f"  {visible(note)}" if note else "", "dim")),
        )
    return table


def out(**options: Any) -> "Console":
    """Standard output; as wide as needed if that is not a terminal, so that scripts see unbroken lines."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1, as if something had failed

    return Output(width=None if sys.stdout.isatty() else 2000, highlight=False, emoji=False, **options)


def print_table(table: "Table") -> None:
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


def transcribed(job: Job) -> str:
    """How much of its recording is transcribed."""
    if job.declared_seconds is None:
        return f"{job.progress_seconds:.1f} s" if job.progress_seconds else ""
    return f"{min(job.progress_seconds, job.declared_seconds):.1f} of {job.declared_seconds:.1f} s"
