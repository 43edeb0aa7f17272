"""The commands ``retry`` and ``cancel``: they change jobs, named ones or many in chunks, and print what has changed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from orchestrator.access.interface import Access
from orchestrator.access.opening import run
from orchestrator.cli.bars import counting_bar
from orchestrator.cli.console import counted, print_json, situation_line, visible
from orchestrator.cli.options import checked_all, confirmed, require_answer, usage
from orchestrator.cli.submission.submit_report import FEW
from orchestrator.intake.submission import CHUNK
from orchestrator.jobs.queries import not_submitted
from orchestrator.session import print_error
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

    async def work(access: Access) -> int:
        change = access.retry
        if allow_incomplete:
            change = access.session("retry --allow-incomplete").submissions.retry_incomplete
        if wanted:
            return await change_named(access, bucket, wanted, change, RETRIED, as_json)
        ids = await access.failed_ids(bucket, code, reason)
        nothing = "no such job has failed; see: orchestrator failed"
        if code is not None and not ids:
            raise JobNotFound(nothing)
        return await change_many(access, ids, change, RETRIED, nothing, as_json)

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

    async def work(access: Access) -> int:
        if wanted:
            return await change_named(access, bucket, wanted, access.cancel, CANCELLED, as_json)
        ids = await access.unfinished_ids(access.bucket(bucket), prefix or "")
        jobs = counted(len(ids), "unfinished job")
        if everything and ids and not confirmed(f"Cancel {jobs} of bucket {access.bucket(bucket)}?", yes):
            print_error("nothing was cancelled")
            return 1
        nothing = "no such job is unfinished; see: orchestrator status"
        return await change_many(access, ids, access.cancel, CANCELLED, nothing, as_json)

    run(config, work)


async def change_named(
    access: Access, bucket: str | None, savepaths: Sequence[str], change: Change, word: str, as_json: bool
) -> int:
    """Change the jobs of these savepaths, and print what each of them is now, and which have none; the exit code."""
    bucket_name, default = access.bucket(bucket), access.default_bucket
    named, _ = await access.current_jobs(bucket_name, savepaths)
    unknown = sorted(set(savepaths) - {job.savepath for job in named})
    for savepath in unknown:
        print_error(visible(not_submitted(bucket_name, savepath, default).message))
    if not named:
        return 1
    ids = [job.id for job in named]
    changed = set(await change(ids))
    jobs = await access.jobs_by_id(ids)
    if as_json:
        print_json([{**job.model_dump(mode="json"), "changed": job.id in changed} for job in jobs])
    for job in jobs if not as_json else ():
        print(
            f"{word:<9} {visible(job.savepath)}" if job.id in changed else f"unchanged {situation_line(job, default)}"
        )
    return 1 if unknown else 0


async def change_many(
    access: Access, ids: Sequence[int], change: Change, word: str, nothing: str, as_json: bool
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
    few = await access.jobs_by_id(changed) if len(changed) <= FEW else []
    if as_json:
        print_json({"changed": len(changed)})
        return 0
    for job in few:
        print(f"{word:<9} {visible(job.savepath)}")
    if not few:
        print(f"{len(changed)} jobs {word}" if changed else nothing)
    return 0
