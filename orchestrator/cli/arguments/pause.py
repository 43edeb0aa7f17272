"""The arguments of ``pause``, ``resume``."""

from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption, checked_text
from reelscribe.command_line import ConfigOption

PrefixOption = Annotated[
    str,
    typer.Option("--prefix", help="Only savepaths with this prefix.", show_default="all", callback=checked_text),
]


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator pause --prefix archive/")(pause)
    cli.command(epilog="Example: orchestrator resume --prefix archive/")(resume)


def pause(prefix: PrefixOption = "", as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Start no more jobs, on any worker, until resume. Running jobs are completed."""
    from orchestrator.cli import pause as work

    work.pause(prefix, as_json, config)


def resume(prefix: PrefixOption = "", as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """End a pause: that of the queue, or that of a prefix."""
    from orchestrator.cli import pause as work

    work.resume(prefix, as_json, config)
