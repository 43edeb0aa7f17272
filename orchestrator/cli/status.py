"""The command ``status``: the queue as a whole, or the jobs of one savepath; once, or continuously."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.access.interface import Access
from orchestrator.access.opening import run
from orchestrator.cli.console import COLOURS, NO_WORKER, counted, length, out, print_json, situation_line, visible
from orchestrator.cli.options import checked, usage
from orchestrator.cli.queue_rules import COMMAND, rule_lines, rules_json
from orchestrator.cli.tables import job_rows
from orchestrator.exports.pending_results import results_sentence
from orchestrator.jobs.models import Job, State
from orchestrator.jobs.queries import not_submitted
from orchestrator.jobs.stats import Overview, PendingWork
from orchestrator.queue.rules import Rule

WATCH_SECONDS = 1.0
"""How often ``--watch`` looks."""


class Selected(NamedTuple):
    """Which jobs are shown."""

    state: State | None
    prefix: str | None
    bucket: str | None
    limit: int


class StatusView(NamedTuple):
    """What was seen at one look; ``queue`` only of the queue as a whole, or of all that is in a bucket.

    Attributes:
        bucket: the only one that was looked at, or None.
        default_bucket: of config.cfg.
        selected: only jobs of a state or a prefix were looked at.
    """

    jobs: list[Job]
    queue: Overview | None
    workers: int
    rules: list[Rule]
    results: PendingWork | None
    bucket: str | None
    default_bucket: str
    selected: bool = False

    def document(self) -> dict[str, Any]:
        """For scripts."""
        shown: dict[str, Any] = {"jobs": [job.model_dump(mode="json") for job in self.jobs]}
        if self.results:
            shown["results"] = self.results.model_dump()
        if self.queue:
            shown |= {**self.queue.figures(self.workers), "workers": self.workers, "rules": rules_json(self.rules)}
        return shown

    def tables(self) -> RenderableType:
        """For people."""
        blocks: list[RenderableType] = []
        if self.queue and self.queue.states:
            blocks += [_state_table(self.queue), Text(_forecast(self.queue, self.workers)), Text()]
        blocks.append(job_rows(self.jobs, details=self.queue is None) if self.jobs else Text(self._no_jobs))
        return Group(*blocks, *map(_note, self._notes()))

    def _notes(self) -> list[str]:
        notes = [*self._buckets_away(), *rule_lines(self.rules)]
        if self.queue and "failed" in self.queue.states:
            notes.append("see why they failed, and how to try again: orchestrator failed")
        if self.results and (sentence := results_sentence(self.results)):
            notes.append(visible(sentence))
        return notes

    def lines(self) -> list[str]:
        """For logs: what is worth a line as soon as it changes."""
        if not self.queue:
            return [situation_line(job, self.default_bucket) for job in self.jobs]
        totals = ", ".join(f"{jobs} {state}" for state, jobs in self.queue.totals.items())
        return [totals or self._no_jobs, *self._buckets_away(), *rule_lines(self.rules)]

    def _buckets_away(self) -> list[str]:
        away = self.queue.buckets_away if self.queue else {}
        return [visible(f"bucket {bucket} cannot be read now, so its jobs wait: {away[bucket]}") for bucket in away]

    @property
    def _no_jobs(self) -> str:
        if self.selected:
            return "there is no such job"
        of_bucket, option = (f" of bucket {self.bucket}", f" --bucket {self.bucket}") if self.bucket else ("", "")
        return f"no jobs{of_bucket} yet; make one with: orchestrator submit SAVEPATH{option}"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen, which is never so for the queue as a whole."""
        return self.queue is None and all(job.finished for job in self.jobs)


def status(
    savepath: str | None,
    watch: bool,
    state: str | None,
    prefix: str | None,
    bucket: str | None,
    limit: int,
    as_json: bool,
    config: Path | None,
) -> None:
    """Show the queue, its speed, and about how long it will take; or the jobs of one savepath."""
    if savepath is not None:
        checked(savepath)
        if state or prefix:
            usage("--state and --prefix are for all jobs; leave out SAVEPATH")
    selection = Selected(cast(State | None, state), prefix, bucket, limit)

    async def work(access: Access) -> int:
        async def look() -> StatusView:
            return await _look(access, savepath, selection)

        if watch:
            view = await _watch(look, as_json)
            return 1 if any(job.state != "done" for job in view.jobs) else 0
        view = await look()
        print_json(view.document()) if as_json else out().print(view.tables())
        return 0

    run(config, work)


async def _look(access: Access, savepath: str | None, selection: Selected) -> StatusView:
    state, prefix, bucket, limit = selection
    if savepath is not None:
        jobs, results = await access.current_jobs(access.bucket(bucket), [savepath])
        if not jobs:
            raise not_submitted(access.bucket(bucket), savepath, access.default_bucket)
        return StatusView(jobs, None, 0, await access.rules(), results, bucket, access.default_bucket)
    newest = await access.list_jobs(state, bucket, prefix, limit)
    running = [] if state else await access.list_jobs("running", bucket, prefix, limit)
    jobs = [*running, *(job for job in newest if state or job.state != "running")][:limit]
    queue, workers, rules, results = await access.queue(bucket, prefix)
    selected = state is not None or prefix is not None
    return StatusView(jobs, queue, workers, rules, results, bucket, access.default_bucket, selected)


async def _watch(look: Callable[[], Awaitable[StatusView]], as_json: bool) -> StatusView:
    """Show what changes, until nothing more will; the last of it."""
    if sys.stdout.isatty() and not as_json:
        from rich.live import Live

        with Live(console=out(), auto_refresh=False, redirect_stdout=False) as live:
            while True:
                view = await look()
                live.update(view.tables(), refresh=True)
                if view.ended:
                    return view
                await asyncio.sleep(WATCH_SECONDS)
    printed: object = None
    while True:
        view = await look()
        now: object = (view.lines(), view.jobs if as_json else None)
        if now != printed:
            shown = [json.dumps(view.document(), ensure_ascii=False)] if as_json else view.lines()
            print("\n".join(shown), flush=True)
            printed = now
        if view.ended:
            return view
        await asyncio.sleep(WATCH_SECONDS)


def _note(line: str) -> Text:
    """Commands stay whole, however narrow the terminal is."""
    return Text(line, no_wrap=True, overflow="ignore") if line.startswith(COMMAND) else Text(line)


def _state_table(queue: Overview) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("STATE", no_wrap=True)
    for name in ("JOBS", "AUDIO"):
        table.add_column(name, justify="right", no_wrap=True)
    for state, total in queue.states.items():
        about = "" if state == "done" else "about "
        audio = "" if total.seconds is None or state in ("failed", "cancelled") else about + length(total.seconds)
        table.add_row(Text(state, style=COLOURS[state]), f"{total.jobs:,}", audio)
    if len(queue.states) > 1:
        table.add_row("total", f"{sum(queue.totals.values()):,}", "")
    return table


def _forecast(queue: Overview, workers: int) -> str:
    """What is left, the speed, and about how long it will take; who works on it."""
    if not queue.unfinished:
        return "nothing is left to do"
    parts = []
    if queue.left_seconds is not None:
        parts.append(f"about {length(queue.left_seconds)} of audio left")
    if not workers:
        return "; ".join([*parts, NO_WORKER])
    parts.append(counted(workers, "worker"))
    if queue.no_transcriber is not None:
        return visible(f"{', '.join(parts)}; no transcriber takes a job now: {queue.no_transcriber}")
    if queue.all_paused:
        return f"{', '.join(parts)}; paused"
    if queue.speed:
        parts.append(f"{queue.speed:.1f} x real time")
    if queue.eta_seconds is not None:
        paused = f" but for {counted(queue.paused.jobs, 'paused job')}" if queue.paused.jobs else ""
        parts.append(f"done in about {length(queue.eta_seconds)}{paused}")
    return ", ".join(parts)
