"""The command ``cancel``."""

from typing import Annotated

import typer

from orchestrator.cli.change_jobs import change_many, change_named
from orchestrator.cli.options import BucketOption, JsonOption, SavepathsArgument, checked_all, checked_text, usage
from orchestrator.jobs import queries as job_queries
from orchestrator.session import Session, run
from reelscribe.command_line import ConfigOption

CANCELLED = "cancelled"


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator cancel --prefix youtube/2026/")(cancel)


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
