"""The command ``retry``."""

from typing import Annotated

import typer

from orchestrator.cli.change_jobs import change_many, change_named
from orchestrator.cli.options import BucketOption, JsonOption, SavepathsArgument, checked_all, checked_text, usage
from orchestrator.jobs import failures
from orchestrator.session import Session, run
from reelscribe.command_line import ConfigOption
from reelscribe.errors import JobNotFound

RETRIED = "again"


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator retry --all-failed")(retry)


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
