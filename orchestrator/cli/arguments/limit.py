"""The arguments of ``limit``."""

from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption, checked_text
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator limit youtube/ 2")(limit)


def limit(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", callback=checked_text)],
    max_running: Annotated[
        int | None,
        typer.Argument(metavar="N", min=1, show_default=False, help="Jobs at the same time, of all workers together."),
    ] = None,
    no_limit: Annotated[bool, typer.Option("--none", help="Remove the limit.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Let at most N jobs of a prefix run at the same time. Jobs of other prefixes overtake those that wait."""
    from orchestrator.cli import limit as work

    work.limit(prefix, max_running, no_limit, as_json, config)
