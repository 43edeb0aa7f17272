"""What commands print: jobs in one line, numbers, lengths, JSON."""

import json
import sys
from typing import TYPE_CHECKING, Any

from orchestrator.jobs.models import Job, State

if TYPE_CHECKING:  # it takes long to import, and not every command draws
    from rich.console import Console

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


def out(**options: Any) -> "Console":
    """Standard output; as wide as needed if that is not a terminal, so that scripts see unbroken lines."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1, as if something had failed

        def print(self, *objects: Any, **options: Any) -> None:
            super().print(*objects, **{"crop": False, **options})  # what is not to be broken is not cut off either

    return Output(width=None if sys.stdout.isatty() else 2000, highlight=False, emoji=False, **options)


def length(seconds: float) -> str:
    """A length of time in the unit that fits it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"


def counted(number: int, thing: str) -> str:
    """Such as ``1 job`` and ``2 jobs``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


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
