"""The arguments of ``retry``."""

from typing import Annotated

import typer

from orchestrator.cli.options import BucketOrAllOption, JsonOption, SavepathsArgument, checked_text
from reelscribe.command_line import ConfigOption


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
    allow_incomplete: Annotated[
        bool,
        typer.Option("--allow-incomplete", help="Accept recordings that are cut: as new jobs, which replace these."),
    ] = False,
    bucket: BucketOrAllOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Queue failed and cancelled jobs again; they continue where they stopped."""
    from orchestrator.cli import change_jobs as work

    work.retry(savepaths, all_failed, code, reason, allow_incomplete, bucket, as_json, config)
