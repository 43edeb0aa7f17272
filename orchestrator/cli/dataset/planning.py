"""The plan of a dataset: made shard by shard, counted, and written to a file if that is all that is wanted."""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from orchestrator.cli.console import counted, print_json
from orchestrator.cli.dataset.selection import Planned, Selection, recordings, utterances
from orchestrator.cli.dataset.uploads import Target
from orchestrator.errors import NotWritten
from orchestrator.exports.dataset.plan import DatasetKind, Item, PlanSettings, ShardPlan, SpeechSettings
from orchestrator.exports.dataset.planner import Planner
from orchestrator.session import Session


class Totals:
    """What a plan holds."""

    def __init__(self) -> None:
        self.items = self.failed = self.samples = self.shards = 0
        self.seconds = 0.0
        self.reasons: dict[str, int] = {}
        self.left_out: dict[str, int] = {}

    def add(self, item: Item) -> None:
        """Count one item."""
        self.items += 1
        self.samples += len(item.utterances)
        self.seconds += sum(utterance.end - utterance.start for utterance in item.utterances)
        for reason, count in item.left_out.items():
            self.left_out[reason] = self.left_out.get(reason, 0) + count
        if item.mistake is not None:
            self.failed += 1
            code = item.code or "bad_row"
            self.reasons[code] = self.reasons.get(code, 0) + 1

    def figures(self, kind: DatasetKind) -> dict[str, Any]:
        """For scripts."""
        of_speech = {"utterances": self.samples, "seconds": round(self.seconds, 3), "left_out": self.left_out}
        return {
            "recordings": self.items,
            "shards": self.shards,
            **(of_speech if kind == "speech" else {}),
            "failed": self.failed,
            "reasons": self.reasons,
        }

    def sentence(self, kind: DatasetKind) -> str:
        """For people."""
        said = f", {counted(self.samples, 'utterance')} of {self.seconds / 60:.1f} min" if kind == "speech" else ""
        failed = f", {self.failed} without a sample ({listed(self.reasons)})" if self.failed else ""
        out = f"; left out: {listed(self.left_out)}" if self.left_out else ""
        return f"{counted(self.items, 'recording')}{said} in {counted(self.shards, 'shard')}{failed}{out}"


async def planned(
    session: Session, selection: Selection, plan: PlanSettings, totals: Totals
) -> AsyncIterator[tuple[str, list[Item]]]:
    """The shards of a new plan."""
    planner, settings = Planner(plan), plan.of_kind
    found: AsyncIterator[Planned]
    if isinstance(settings, SpeechSettings):
        found = utterances(session, selection, settings)
    else:
        found = recordings(session, selection)
    async for split, item in found:
        totals.add(item)
        for shard in planner.add(split, item):
            totals.shards += 1
            yield shard
    for shard in planner.rest():
        totals.shards += 1
        yield shard


async def only_plan(
    session: Session,
    selection: Selection,
    plan: PlanSettings,
    path: Path | None,
    dry_run: bool,
    as_json: bool,
    target: Target | None = None,
) -> int:
    """Say what would be built, and put where; write it to a file if one is named. One shard is in memory at a time."""
    totals, number = Totals(), 0
    with _written(path) as write:
        async for split, items in planned(session, selection, plan, totals):
            if path:
                write(ShardPlan(plan=plan, number=number, split=split, items=items).model_dump_json() + "\n")
            number += 1
    if as_json:
        to = {"to": str(target)} if target else {}
        print_json({"dry_run": dry_run, **totals.figures(plan.kind), **to})
    else:
        to_bucket = f"; would be copied to {target}" if target else ""
        print(f"{'planned' if path else 'would be built'}: {totals.sentence(plan.kind)}{to_bucket}")
    return 0 if totals.items > totals.failed else 1


@contextmanager
def _written(path: Path | None) -> Iterator[Callable[[str], None]]:
    """A file that is written line by line, and has its name once all of it is there; nothing without a path.

    Raises:
        NotWritten: the disk refuses it.
    """
    if path is None:
        yield lambda line: None
        return
    with _as_not_written(path):
        is_file = path.is_file() or not path.exists()  # not /dev/stdout
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp") if is_file else path
        file = unfinished.open("w", encoding="utf-8")

    def write(line: str) -> None:
        with _as_not_written(path):
            file.write(line)

    try:
        yield write
        with _as_not_written(path):
            file.close()
            if is_file:
                unfinished.replace(path)
    finally:
        with suppress(OSError):  # a disk that takes nothing more has been reported
            file.close()
        if is_file:
            with suppress(OSError):
                unfinished.unlink()


@contextmanager
def _as_not_written(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # its reader has left, which is no failure
        raise
    except OSError as refused:
        raise NotWritten(f"{path} cannot be written: {refused.strerror or refused}") from refused


def listed(reasons: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count} {reason}" for reason, count in sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    )
