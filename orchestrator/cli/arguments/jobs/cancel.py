"""The arguments of ``cancel``."""

from typing import Annotated

import typer

from orchestrator.cli.options import BucketOption, JsonOption, SavepathsArgument, YesOption, chosen_prefix
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator cancel --prefix youtube/2026/")(cancel)


def cancel(
    savepaths: SavepathsArgument = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            help="All unfinished jobs whose savepaths start with this.", show_default=False, callback=chosen_prefix
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All unfinished jobs of the bucket.")] = False,
    bucket: BucketOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Cancel jobs; running ones stop immediately. What they have stored stays, and retry continues there.

    --all asks first.
    """
    from orchestrator.cli import change_jobs as work

    work.cancel(savepaths, prefix, everything, bucket, yes, as_json, config)
