"""The arguments of ``check``."""

import typer

from orchestrator.cli.options import JsonOption
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator check")(check)


def check(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check config, database, extractor, each transcriber, and their sandboxes, one line each; exit 1 if one fails."""
    from orchestrator.cli.checks import check as work

    work.check(as_json, config)
