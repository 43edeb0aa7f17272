"""The commands that are about jobs: status, show, retry, cancel."""

import sys
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import typer

from machine.command import ConfigOption
from orchestrator import formats, store
from orchestrator.arguments import BucketOption, JsonOption, SavepathsArgument, checked, checked_all, usage
from orchestrator.jobs import Job
from orchestrator.screen import job_table, print_json, print_table, situation_line, visible
from orchestrator.session import Session, complain, run


class OutputFormat(str, Enum):
    """What ``show`` can print."""

    txt = "txt"
    srt = "srt"
    vtt = "vtt"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator status youtube/abc123.mp4")(status)
    cli.command(epilog="Example: orchestrator show youtube/abc123.mp4 --format srt > abc123.srt")(show)
    cli.command(epilog="Example: orchestrator retry --all-failed")(retry)
    cli.command(epilog="Example: orchestrator cancel youtube/abc123.mp4")(cancel)


def status(
    savepath: Annotated[str | None, typer.Argument(metavar="SAVEPATH", show_default=False)] = None,
    bucket: BucketOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Jobs in the table, the newest first.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the newest jobs and how many are in each state, or all about one savepath."""
    if savepath is not None:
        checked(savepath)

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            if savepath is None:
                jobs, totals = await store.list_jobs(connection, limit=limit), await store.count_by_state(connection)
            else:
                jobs, totals = await store.current_jobs(connection, session.bucket(bucket), [savepath]), {}
        if savepath is not None and not jobs:
            raise store.not_submitted(savepath)
        if as_json:
            shown: dict[str, Any] = {"jobs": [job.model_dump(mode="json") for job in jobs]}
            print_json(shown if savepath is not None else {**shown, "totals": totals})
        elif not jobs:
            print("no jobs yet; make one with: orchestrator submit SAVEPATH")
        else:
            print_table(job_table(jobs))
            if totals:
                print("\n" + ", ".join(f"{count} {state}" for state, count in totals.items()))
        return 0

    run(config, work)


def show(
    savepath: Annotated[str, typer.Argument(metavar="SAVEPATH")],
    format: Annotated[OutputFormat, typer.Option(help="json has all: receipt, words, tokens.")] = OutputFormat.txt,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Times before each line of txt.")] = False,
    bucket: BucketOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print a transcript."""
    checked(savepath)

    async def work(session: Session) -> int:
        where = session.bucket(bucket)
        async with session.pool.connection() as connection:
            found = await store.transcript(connection, where, savepath)
            if found is None:
                raise await store.no_transcript(connection, where, savepath)
        wanted = formats.parse_format("json" if as_json else format.value)
        sys.stdout.write(formats.render(found, wanted, timestamps))
        if not found.receipt.complete:
            complain(f"this transcript is incomplete: {found.receipt.reason}")
        return 0

    run(config, work)


def retry(
    savepaths: SavepathsArgument = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="All jobs that failed.")] = False,
    bucket: BucketOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Queue failed and cancelled jobs again; they go on where they stopped."""
    if bool(savepaths) == all_failed:
        usage("name savepaths, or give --all-failed")
    wanted = checked_all(savepaths)

    async def work(session: Session) -> int:
        if wanted:
            ids = [job.id for job in await _named(session, bucket, wanted)]
        else:
            async with session.pool.connection() as connection:
                ids = await store.failed_ids(connection)
        return await _changed(session, ids, set(await session.desk.retry(ids)), "again", as_json)

    run(config, work)


def cancel(
    savepaths: Annotated[list[str], typer.Argument(metavar="SAVEPATH")],
    bucket: BucketOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Cancel jobs; running ones stop at once. What they have stored stays, and retry goes on there."""
    checked_all(savepaths)

    async def work(session: Session) -> int:
        ids = [job.id for job in await _named(session, bucket, savepaths)]
        return await _changed(session, ids, set(await session.desk.cancel(ids)), "cancelled", as_json)

    run(config, work)


async def _named(session: Session, bucket: str | None, savepaths: Sequence[str]) -> list[Job]:
    async with session.pool.connection() as connection:
        jobs = await store.current_jobs(connection, session.bucket(bucket), savepaths)
    if unknown := sorted(set(savepaths) - {job.savepath for job in jobs}):
        raise store.not_submitted(unknown[0])
    return jobs


async def _changed(session: Session, ids: list[int], changed: set[int], word: str, as_json: bool) -> int:
    async with session.pool.connection() as connection:
        jobs = await store.jobs_by_id(connection, ids)
    if as_json:
        print_json([{**job.model_dump(mode="json"), "changed": job.id in changed} for job in jobs])
    elif not jobs:
        print("no job has failed")
    for job in jobs if not as_json else ():
        print(f"{word:<9} {visible(job.savepath)}" if job.id in changed else f"unchanged {situation_line(job)}")
    return 0
