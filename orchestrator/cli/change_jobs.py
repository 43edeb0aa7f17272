"""The commands ``retry`` and ``cancel``: they change jobs, named ones or many in chunks, and print what has changed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from orchestrator.cli.bars import counting_bar
from orchestrator.cli.console import counted, print_json, situation_line, visible
from orchestrator.cli.options import checked_all, confirmed, require_answer, usage
from orchestrator.cli.submission.submit_report import FEW
from orchestrator.intake.submission import CHUNK
from orchestrator.jobs import failures
from orchestrator.jobs import queries as job_queries
from orchestrator.session import Session, print_error, run
from reelscribe.errors import JobNotFound

RETRIED, CANCELLED = "again", "cancelled"

Change = Callable[[Sequence[int]], Awaitable[list[int]]]
"""Changes those jobs of these ids that can be, and returns their ids."""


def retry(
    savepaths: list[str] | None,
    all_failed: bool,
    code: str | None,
    reason: str | None,
    allow_incomplete: bool,
    bucket: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Queue failed and cancelled jobs again; they continue where they stopped."""
    if bool(savepaths) + all_failed + (code is not None) != 1:
        usage("name savepaths, or give --all-failed, or --code")
    if reason is not None and code is None:
        usage("--reason goes with --code; see: orchestrator failed")
    wanted = checked_all(savepaths)

    async def work(session: Session) -> int:
        change = session.submissions.retry_incomplete if allow_incomplete else session.submissions.retry
        if wanted:
            return await change_named(session, bucket, wanted, change, RETRIED, as_json)
        async with session.pool.connection() as connection:
            ids = await failures.failed_ids(connection, bucket, code, reason)
        nothing = "no such job has failed; see: orchestrator failed"
        if code is not None and not ids:
            raise JobNotFound(nothing)
        return await change_many(session, ids, change, RETRIED, nothing, as_json)

    run(config, work)


def cancel(
    savepaths: list[str] | None,
    prefix: str | None,
    everything: bool,
    bucket: str | None,
    yes: bool,
    as_json: bool,
    config: Path | None,
) -> None:
    """Cancel jobs; running ones stop immediately. What they have stored stays, and retry continues there."""
    if bool(savepaths) + (prefix is not None) + everything != 1:
        usage("name savepaths, or give --prefix, or --all")
    wanted = checked_all(savepaths)
    if everything:
        require_answer("cancel --all", yes)

    async def work(session: Session) -> int:
        if wanted:
            return await change_named(session, bucket, wanted, session.submissions.cancel, CANCELLED, as_json)
        async with session.pool.connection() as connection:
            ids = await job_queries.unfinished_ids(connection, session.bucket(bucket), prefix or "")
        jobs = counted(len(ids), "unfinished job")
        if everything and ids and not confirmed(f"Cancel {jobs} of bucket {session.bucket(bucket)}?", yes):
            print_error("nothing was cancelled")
            return 1
        nothing = "no such job is unfinished; see: orchestrator status"
        return await change_many(session, ids, session.submissions.cancel, CANCELLED, nothing, as_json)

    run(config, work)


async def change_named(
    session: Session, bucket: str | None, savepaths: Sequence[str], change: Change, word: str, as_json: bool
) -> int:
    """Change the jobs of these savepaths, and print what each of them is now."""
    bucket_name, default = session.bucket(bucket), session.bucket(None)
    async with session.pool.connection() as connection:
        named = await job_queries.current_jobs(connection, bucket_name, savepaths)
    if unknown := sorted(set(savepaths) - {job.savepath for job in named}):
        raise job_queries.not_submitted(bucket_name, unknown[0], default)
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


async def change_many(
    session: Session, ids: Sequence[int], change: Change, word: str, nothing: str, as_json: bool
) -> int:
    """Change jobs a chunk at a time, so that nothing else waits for it, and print how many; of a few, which."""
    changed: list[int] = []
    try:
        with counting_bar(word, len(ids), shown=len(ids) > CHUNK) as advance:
            for begin in range(0, len(ids), CHUNK):
                chunk = ids[begin : begin + CHUNK]
                changed += await change(chunk)
                advance(len(chunk))
    except asyncio.CancelledError:
        print_error(f"stopped after {counted(len(changed), 'job')}; run it again to continue")
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
