"""What became of a submission: counted while it runs, printed for people or for scripts."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from orchestrator.cli.bars import bars
from orchestrator.cli.console import counted, print_json, situation_line, visible
from orchestrator.cli.submission.local_files import how_to_upload
from orchestrator.cli.submission.savepath_lists import Refusal
from orchestrator.intake.submission import Outcome
from orchestrator.jobs.models import Job
from orchestrator.session import print_error

FEW = 20
"""Up to this many savepaths are named one by one, and of more refusals the first ones."""
MOST_NAMED = 10_000
"""Outcomes that are remembered by savepath; of a larger submission only the counts are known."""

WORDS: Mapping[Outcome, str] = {
    "new": "queued",
    "changed": "changed",
    "again": "again",
    "known": "known",
    "done": "done",
    "missing": "missing",
}


class SubmitReport:
    """Outcomes and refusals so far.

    Attributes:
        outcomes: by savepath; None once there are more than :data:`MOST_NAMED`.
        refused: the first of the refusals.
        skipped: how many listed objects are not recordings.
    """

    def __init__(self) -> None:
        self.counts: Counter[Outcome] = Counter()
        self.refusals = 0
        self.outcomes: dict[str, Outcome] | None = {}
        self.refused: list[Refusal] = []
        self.skipped = 0

    @property
    def submitted(self) -> int:
        """How many savepaths have been submitted."""
        return self.counts.total()

    @property
    def unfinished(self) -> int:
        """How many of them have a job that waits or runs."""
        return self.submitted - self.counts["done"] - self.counts["missing"]

    def add(self, outcomes: Mapping[str, Outcome]) -> None:
        """One chunk has been submitted."""
        self.counts.update(outcomes.values())
        if self.outcomes is not None:
            self.outcomes = {**self.outcomes, **outcomes} if self.submitted <= MOST_NAMED else None

    def refuse(self, refusal: Refusal) -> None:
        """One line cannot be a savepath; the first ones are printed immediately."""
        self.refusals += 1
        if self.refusals <= MOST_NAMED:
            self.refused.append(refusal)
        if self.refusals <= FEW:
            print_error(f"refused   {visible(refusal.where)}: {refusal.reason}")

    def skip(self, savepath: str) -> None:
        """One listed object is not a recording."""
        self.skipped += 1

    def summary(self) -> str:
        """All counts in one line."""
        counts = [f"{self.counts[outcome]} {word}" for outcome, word in WORDS.items() if self.counts[outcome]]
        if self.refusals:
            counts.append(f"{self.refusals} refused")
        if self.skipped:
            counts.append(f"{self.skipped} skipped")
        return ", ".join(counts) or "nothing"

    def print(self, jobs: Sequence[Job], dry_run: bool, default_bucket: str) -> None:
        """For people: each of a few savepaths, then the sums."""
        if self.refusals > FEW:
            print_error(f"refused   {self.refusals - FEW} more; --json names them")
        found = {job.savepath: job for job in jobs}
        for savepath, outcome in (self.outcomes or {}).items() if self.submitted <= FEW else ():
            print(_line(savepath, outcome, found.get(savepath), default_bucket))
        if self.submitted != 1 or self.refusals or self.skipped or dry_run:
            taken = self.submitted - self.counts["missing"]
            print(f"{taken} {'would be ' if dry_run else ''}submitted: {self.summary()}")
        sys.stdout.flush()

    def print_json(self, jobs: Sequence[Job], dry_run: bool) -> None:
        """For scripts; ``jobs`` is null if there are more than :data:`MOST_NAMED`."""
        found = {job.savepath: job.model_dump(mode="json") for job in jobs}
        named = None
        if self.outcomes is not None:
            named = [
                {"savepath": savepath, **found.get(savepath, {}), "outcome": outcome}
                for savepath, outcome in self.outcomes.items()
            ]
        totals: dict[str, Any] = {outcome: self.counts[outcome] for outcome in WORDS}
        totals |= {"refused": self.refusals, "passed_over": self.skipped}
        refused = [refusal._asdict() for refusal in self.refused]
        print_json({"dry_run": dry_run, "totals": totals, "jobs": named, "refused": refused})


@contextmanager
def bar(total_bytes: int | None) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """A progress bar on a terminal. Yields what to call with the bytes that were read of a list, and with the number of
    savepaths so far.
    """
    if not sys.stderr.isatty():
        yield lambda read: None, lambda count: None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    count = TextColumn("{task.fields[count]}")
    with bars(TextColumn("submit"), BarColumn(), count, TimeElapsedColumn()) as progress:
        task = progress.add_task("", total=total_bytes, count=counted(0, "savepath"))
        yield (
            lambda read: progress.advance(task, read),
            lambda count: progress.update(task, count=counted(count, "savepath")),
        )


def _line(savepath: str, outcome: Outcome, job: Job | None, default_bucket: str) -> str:
    word = f"{WORDS[outcome]:<9} "
    if outcome == "changed":
        return f"{word}{visible(savepath)}: the object has changed since it was transcribed; a new version is queued"
    if outcome == "missing" and not job:
        is_here = os.path.isfile(savepath)
        here = f"; a file of this computer has that name: {how_to_upload(savepath)}" if is_here else ""
        return visible(f"{word}{savepath}: there is no such object{here}")
    if outcome == "missing":
        return f"{word}{visible(savepath)}: the object no longer exists; its transcript is kept"
    if job and outcome in ("known", "done"):
        return word + situation_line(job, default_bucket)
    return word + visible(savepath)
