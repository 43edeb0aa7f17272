"""The arguments of ``prune``."""

from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption, YesOption
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator prune --older-than 30d")(prune)


def prune(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Replaced at least this long ago: hours (12h), days (30d), weeks (4w).")
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Remove versions of transcripts that a newer one has replaced. The newest finished one always stays."""
    from orchestrator.cli.removal import delete as work

    work.prune(older_than, dry_run, yes, as_json, config)
