"""The arguments of ``failed``."""

import typer

from orchestrator.cli.options import JsonOption
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator failed")(failed)


def failed(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the failed jobs by reason, each with the command that has just those tried again."""
    from orchestrator.cli import failed as work

    work.failed(as_json, config)
