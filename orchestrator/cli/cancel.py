"""The command ``cancel``."""

from pathlib import Path

from orchestrator.cli.change_jobs import change_many, change_named
from orchestrator.cli.options import checked_all, usage
from orchestrator.jobs import queries as job_queries
from orchestrator.session import Session, run

CANCELLED = "cancelled"


def cancel(
    savepaths: list[str] | None,
    prefix: str | None,
    everything: bool,
    bucket: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Cancel jobs; running ones stop immediately. What they have stored stays, and retry continues there."""
    if bool(savepaths) + (prefix is not None) + everything != 1:
        usage("name savepaths, or give --prefix, or --all")
    wanted = checked_all(savepaths)

    async def work(session: Session) -> int:
        if wanted:
            return await change_named(session, bucket, wanted, session.submissions.cancel, CANCELLED, as_json)
        async with session.pool.connection() as connection:
            ids = await job_queries.unfinished_ids(connection, session.bucket(bucket), prefix or "")
        nothing = "no such job is unfinished; see: orchestrator status"
        return await change_many(session, ids, session.submissions.cancel, CANCELLED, nothing, as_json)

    run(config, work)
