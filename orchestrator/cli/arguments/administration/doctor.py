"""The arguments of ``doctor``."""

import typer

from orchestrator.cli.options import JsonOption
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator doctor")(doctor)


def doctor(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Ask all services what is wrong on their hosts, and say what fixes it; exit 1 if there is a fault."""
    from orchestrator.cli.checks import doctor as work

    work.doctor(as_json, config)
