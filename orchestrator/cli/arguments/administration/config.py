"""The arguments of ``config``."""

from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator config --default > config.cfg")(config)


def config(
    default: Annotated[
        bool, typer.Option("--default", help="Print a config.cfg with all defaults and a comment on each.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print the settings that apply, and where each comes from; passwords are left out."""
    from orchestrator.cli import config as work

    work.config(default, as_json, config)
