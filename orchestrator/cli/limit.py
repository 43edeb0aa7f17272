"""The command ``limit``."""

from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption, checked_text, usage
from orchestrator.cli.queue_rules import show_rules
from orchestrator.queue import rules
from orchestrator.session import Session, run
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
    if not prefix or (max_running is None) != no_limit:
        usage("give a PREFIX, and either N or --none")

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            await rules.limit(connection, prefix, max_running)
        return await show_rules(session, as_json)

    run(config, work)
