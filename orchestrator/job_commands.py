"""The commands that change jobs: retry, cancel."""

from collections.abc import Sequence
from typing import Annotated

import typer

from machine.command import ConfigOption
from orchestrator import failures, store
from orchestrator.arguments import BucketOption, JsonOption, SavepathsArgument, checked_all, usage
from orchestrator.jobs import Job
from orchestrator.screen import print_json, situation_line, visible
from orchestrator.session import Session, run


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator retry --all-failed")(retry)
    cli.command(epilog="Example: orchestrator cancel youtube/abc123.mp4")(cancel)


def retry(
    savepaths: SavepathsArgument = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="All jobs that failed.")] = False,
    code: Annotated[str | None, typer.Option(help="All that failed with this code.", show_default=False)] = None,
    reason: Annotated[
        str | None,
        typer.Option(help="With --code: only those with this REASON of: orchestrator failed.", show_default=False),
    ] = None,
    bucket: BucketOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Queue failed and cancelled jobs again; they go on where they stopped."""
    if bool(savepaths) + all_failed + (code is not None) != 1:
        usage("name savepaths, or give --all-failed, or --code")
    if reason is not None and code is None:
        usage("--reason goes with --code; see: orchestrator failed")
    wanted = checked_all(savepaths)

    async def work(session: Session) -> int:
        if wanted:
            ids = [job.id for job in await _named(session, bucket, wanted)]
        else:
            async with session.pool.connection() as connection:
                ids = await failures.failed_ids(connection, code, reason)
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
        print("no such job has failed; see: orchestrator failed")
    for job in jobs if not as_json else ():
        print(f"{word:<9} {visible(job.savepath)}" if job.id in changed else f"unchanged {situation_line(job)}")
    return 0
