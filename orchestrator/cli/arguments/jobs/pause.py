"""The arguments of ``pause``, ``resume`` and ``limit``."""

from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption, checked_text
from reelscribe.command_line import ConfigOption

PrefixOption = Annotated[
    str,
    typer.Option("--prefix", help="Only savepaths with this prefix.", show_default="all", callback=checked_text),
]


NEGATIVE_NUMBERS = {"ignore_unknown_options": True}
"""-1 is a number that is too small, and no option that is not known."""


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator pause --prefix archive/")(pause)
    cli.command(epilog="Example: orchestrator resume --prefix archive/")(resume)
    cli.command(epilog="Example: orchestrator limit 2 --prefix archive/", context_settings=NEGATIVE_NUMBERS)(limit)


def pause(prefix: PrefixOption = "", as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Start no more jobs, on any worker, until resume. Running jobs are completed."""
    from orchestrator.cli import queue_rules as work

    work.pause(prefix, as_json, config)


def resume(prefix: PrefixOption = "", as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """End a pause: that of the queue, or that of a prefix."""
    from orchestrator.cli import queue_rules as work

    work.resume(prefix, as_json, config)


def limit(
    max_running: Annotated[
        int | None,
        typer.Argument(metavar="N", min=1, show_default=False, help="Jobs at the same time, of all workers together."),
    ] = None,
    prefix: PrefixOption = "",
    no_limit: Annotated[bool, typer.Option("--none", help="Remove the limit.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Let at most N jobs run at the same time: of all, or of a prefix. Other jobs overtake those that wait."""
    from orchestrator.cli import queue_rules as work

    work.limit(max_running, prefix, no_limit, as_json, config)
