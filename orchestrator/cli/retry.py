"""The command ``retry``."""

from pathlib import Path

from orchestrator.cli.change_jobs import change_many, change_named
from orchestrator.cli.options import checked_all, usage
from orchestrator.jobs import failures
from orchestrator.session import Session, run
from reelscribe.errors import JobNotFound

RETRIED = "again"


def retry(
    savepaths: list[str] | None,
    all_failed: bool,
    code: str | None,
    reason: str | None,
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
        if wanted:
            return await change_named(session, bucket, wanted, session.submissions.retry, RETRIED, as_json)
        async with session.pool.connection() as connection:
            ids = await failures.failed_ids(connection, bucket, code, reason)
        nothing = "no such job has failed; see: orchestrator failed"
        if code is not None and not ids:
            raise JobNotFound(nothing)
        return await change_many(session, ids, session.submissions.retry, RETRIED, nothing, as_json)

    run(config, work)
