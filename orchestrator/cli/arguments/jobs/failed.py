"""The arguments of ``failed``."""

from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption, checked_text
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator failed")(failed)


def failed(
    code: Annotated[
        str | None,
        typer.Option(
            help="Only those with this code, with all their savepaths.", show_default=False, callback=checked_text
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the failed jobs by reason, each with what helps: a retry, less strictness, or another recording."""
    from orchestrator.cli import failed as work

    work.failed(code, as_json, config)
