"""The commands ``pause`` and ``resume``."""

import getpass
import os
import platform
from typing import Annotated

import typer

from orchestrator.cli.console import visible
from orchestrator.cli.options import JsonOption, checked_text
from orchestrator.cli.queue_rules import show_rules, subject
from orchestrator.queue import rules
from orchestrator.queue.order import EVERYTHING
from orchestrator.session import Session, print_error, run
from reelscribe.command_line import ConfigOption

PrefixOption = Annotated[
    str,
    typer.Option("--prefix", help="Only savepaths with this prefix.", show_default="all", callback=checked_text),
]


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator pause --prefix archive/")(pause)
    cli.command(epilog="Example: orchestrator resume --prefix archive/")(resume)


def pause(prefix: PrefixOption = EVERYTHING, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Start no more jobs, on any worker, until resume. Running jobs are completed."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            await rules.pause(connection, prefix, _who())
        return await show_rules(session, as_json)

    run(config, work)


def resume(prefix: PrefixOption = EVERYTHING, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """End a pause: that of the queue, or that of a prefix."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            ended = await rules.resume(connection, prefix)
        if not ended:
            print_error(f"{subject(prefix)} was not paused")
        await show_rules(session, as_json)
        return 0 if ended else 1

    run(config, work)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # one without a name, as in a container
        user = str(os.getuid())
    return visible(f"{user}@{platform.node()}")
