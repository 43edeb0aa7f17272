"""The commands that change jobs: retry, cancel."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from orchestrator.arguments import BucketOption, JsonOption, SavepathsArgument, checked_all, checked_text, usage
from orchestrator.intake.submission import CHUNK
from orchestrator.jobs import failures
from orchestrator.jobs import queries as job_queries
from orchestrator.screen import print_json, situation_line, visible
from orchestrator.session import Session, complain, run
from orchestrator.tally import FEW
from reelscribe.command_line import ConfigOption
from reelscribe.errors import JobNotFound

RETRIED, CANCELLED = "again", "cancelled"

Change = Callable[[Sequence[int]], Awaitable[list[int]]]
"""Changes those jobs of these ids that can be, and returns their ids."""


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator retry --all-failed")(retry)
    cli.command(epilog="Example: orchestrator cancel --prefix youtube/2026/")(cancel)


def retry(
    savepaths: SavepathsArgument = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="All jobs that failed.")] = False,
    code: Annotated[
        str | None, typer.Option(help="All that failed with this code.", show_default=False, callback=checked_text)
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(
            help="With --code: only those with this REASON of: orchestrator failed.",
            show_default=False,
            callback=checked_text,
        ),
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
            return await _change_named(session, bucket, wanted, session.desk.retry, RETRIED, as_json)
        async with session.pool.connection() as connection:
            ids = await failures.failed_ids(connection, bucket, code, reason)
        nothing = "no such job has failed; see: orchestrator failed"
        if code is not None and not ids:
            raise JobNotFound(nothing)
        return await _change_many(session, ids, session.desk.retry, RETRIED, nothing, as_json)

    run(config, work)


def cancel(
    savepaths: SavepathsArgument = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            help="All unfinished jobs whose savepaths start with this.", show_default=False, callback=checked_text
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All unfinished jobs of the bucket.")] = False,
    bucket: BucketOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Cancel jobs; running ones stop at once. What they have stored stays, and retry goes on there."""
    if bool(savepaths) + (prefix is not None) + everything != 1:
        usage("name savepaths, or give --prefix, or --all")
    wanted = checked_all(savepaths)

    async def work(session: Session) -> int:
        if wanted:
            return await _change_named(session, bucket, wanted, session.desk.cancel, CANCELLED, as_json)
        async with session.pool.connection() as connection:
            ids = await job_queries.unfinished_ids(connection, session.bucket(bucket), prefix or "")
        nothing = "no such job is unfinished; see: orchestrator status"
        return await _change_many(session, ids, session.desk.cancel, CANCELLED, nothing, as_json)

    run(config, work)


async def _change_named(
    session: Session, bucket: str | None, savepaths: Sequence[str], change: Change, word: str, as_json: bool
) -> int:
    """Change the jobs of these savepaths, and tell what each of them is now."""
    where, default = session.bucket(bucket), session.bucket(None)
    async with session.pool.connection() as connection:
        named = await job_queries.current_jobs(connection, where, savepaths)
    if unknown := sorted(set(savepaths) - {job.savepath for job in named}):
        raise job_queries.not_submitted(where, unknown[0], default)
    ids = [job.id for job in named]
    changed = set(await change(ids))
    async with session.pool.connection() as connection:
        jobs = await job_queries.jobs_by_id(connection, ids)
    if as_json:
        print_json([{**job.model_dump(mode="json"), "changed": job.id in changed} for job in jobs])
    for job in jobs if not as_json else ():
        print(
            f"{word:<9} {visible(job.savepath)}" if job.id in changed else f"unchanged {situation_line(job, default)}"
        )
    return 0


async def _change_many(
    session: Session, ids: Sequence[int], change: Change, word: str, nothing: str, as_json: bool
) -> int:
    """Change jobs a chunk at a time, so that nobody else waits for it, and tell how many; of a few, which."""
    changed: list[int] = []
    chunks = [ids[begin : begin + CHUNK] for begin in range(0, len(ids), CHUNK)]
    try:
        for chunk in track(chunks, word, console=Console(stderr=True), transient=True, disable=len(chunks) < 2):
            changed += await change(chunk)
    except asyncio.CancelledError:
        complain(f"stopped after {len(changed)} jobs; the same command goes on from there")
        raise
    async with session.pool.connection() as connection:
        few = await job_queries.jobs_by_id(connection, changed) if len(changed) <= FEW else []
    if as_json:
        print_json({"changed": len(changed)})
        return 0
    for job in few:
        print(f"{word:<9} {visible(job.savepath)}")
    if not few:
        print(f"{len(changed)} jobs {word}" if changed else nothing)
    return 0
