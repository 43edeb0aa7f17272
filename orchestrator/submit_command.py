"""The command ``submit``: put savepaths into the queue, and follow them if that is wanted."""

import asyncio
import sys
from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import typer

from machine.command import ConfigOption
from orchestrator import store
from orchestrator.arguments import BucketOption, JsonOption, SavepathsArgument, read_savepaths, usage, validated
from orchestrator.jobs import Job, Options
from orchestrator.screen import BarView, LineView, View, print_json, situation_line, visible
from orchestrator.session import Session, complain, run
from orchestrator.submission import Submitted

WATCH_SECONDS = 0.5
"""How often ``submit --wait`` looks."""
FEW = 20
"""Up to this many jobs are named one by one."""


class Mode(str, Enum):
    """How Machine B goes through a recording."""

    batched = "batched"
    sequential = "sequential"


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator submit youtube/abc123.mp4 --wait")(submit)


def submit(
    savepaths: SavepathsArgument = None,
    from_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="One savepath a line; - for standard input.")
    ] = None,
    bucket: BucketOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the jobs to their end; exit 1 if one fails.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Make a new version of what is already there.")] = False,
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="Accept recordings that are cut; their transcript says so.")
    ] = False,
    priority: Annotated[int, typer.Option(min=-1000, max=1000, help="Higher ones are taken first.")] = 0,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Such as en; default: detected.", show_default=False)
    ] = None,
    word_timestamps: Annotated[bool, typer.Option("--word-timestamps", help="Times of each word.")] = False,
    mode: Annotated[Mode, typer.Option(help="sequential keeps the context, and is slower.")] = Mode.batched,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put savepaths into the queue; - reads them from standard input. What is there already is not made again."""
    wanted = read_savepaths(savepaths or [], from_file)
    if not wanted:
        usage("name at least one savepath, or a file of them with --from-file FILE")
    options = validated(
        Options,
        language=language,
        word_timestamps=word_timestamps,
        mode=mode.value,
        allow_incomplete=allow_incomplete,
    )

    async def work(session: Session) -> int:
        submitted = await session.desk.submit(session.bucket(bucket), wanted, options, priority, force)
        ids = [job.id for job, _ in submitted]
        if not as_json:
            _tell_submitted(submitted)
        if any(not job.finished for job, _ in submitted) and not await session.queue.count_workers():
            complain("no worker is running; the jobs wait for one: orchestrator up (or serve, or worker)")
        try:
            jobs = await _follow(session, ids, as_json) if wait else [job for job, _ in submitted]
        except asyncio.CancelledError:
            complain("the jobs go on without you; come back to them with: orchestrator status")
            raise
        if as_json:
            outcomes = dict(zip(ids, (outcome for _, outcome in submitted), strict=True))
            print_json([{**job.model_dump(mode="json"), "outcome": outcomes[job.id]} for job in jobs])
        return 1 if any(job.state in ("failed", "cancelled") for job in jobs) else 0

    run(config, work)


async def _follow(session: Session, ids: list[int], as_json: bool) -> list[Job]:
    """Show jobs until all are finished."""
    view: View = BarView() if sys.stderr.isatty() and not as_json else LineView()
    unfinished, finished = set(ids), {}
    with view:
        while True:
            async with session.pool.connection() as connection:
                jobs = await store.jobs_by_id(connection, sorted(unfinished))
            for job in jobs:
                view.show(job)
                if job.finished:
                    finished[job.id] = job
                    unfinished.discard(job.id)
            if not unfinished:
                return [finished[id] for id in ids]
            await asyncio.sleep(WATCH_SECONDS)


def _tell_submitted(submitted: Sequence[Submitted]) -> None:
    words = {"new": "queued", "again": "again", "known": "known"}
    for job, outcome in submitted if len(submitted) <= FEW else ():
        if outcome == "known":
            print(f"known     {situation_line(job)}")
        else:
            print(f"{words[outcome]:<9} {visible(job.savepath)}")
    if len(submitted) > 1:
        counts = {word: sum(outcome == kind for _, outcome in submitted) for kind, word in words.items()}
        print(f"{len(submitted)} submitted: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count))
    sys.stdout.flush()
