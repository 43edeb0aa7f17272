"""The commands that steer the queue: pause, resume, limit."""

import getpass
import os
import platform
import shlex
from typing import Annotated, Any

import typer

from orchestrator.arguments import JsonOption, checked_text, usage
from orchestrator.queue import rules
from orchestrator.queue.order import EVERYTHING
from orchestrator.queue.rules import Rule
from orchestrator.screen import print_json, visible
from orchestrator.session import Session, complain, run
from reelscribe.command_line import ConfigOption

PrefixOption = Annotated[
    str, typer.Option("--prefix", help="Only savepaths that start so.", show_default="all", callback=checked_text)
]


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator pause --prefix archive/")(pause)
    cli.command(epilog="Example: orchestrator resume --prefix archive/")(resume)
    cli.command(epilog="Example: orchestrator limit youtube/ 2")(limit)


def pause(prefix: PrefixOption = EVERYTHING, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Start no more jobs, on any worker, until resume. Those that run go on to their end."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            await rules.pause(connection, prefix, _who())
        return await _show(session, as_json)

    run(config, work)


def resume(prefix: PrefixOption = EVERYTHING, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """End a pause: that of the whole queue, or that of a prefix."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            ended = await rules.resume(connection, prefix)
        if not ended:
            complain(f"{_subject(prefix)} was not paused")
        await _show(session, as_json)
        return 0 if ended else 1

    run(config, work)


def limit(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", callback=checked_text)],
    max_running: Annotated[
        int | None,
        typer.Argument(metavar="N", min=1, show_default=False, help="Jobs at once, of all workers together."),
    ] = None,
    no_limit: Annotated[bool, typer.Option("--none", help="Take the limit away.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Let only so many jobs of a prefix run at once. Jobs of other prefixes pass those that wait for it."""
    if not prefix or (max_running is None) != no_limit:
        usage("give a PREFIX, and either N or --none")

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            await rules.limit(connection, prefix, max_running)
        return await _show(session, as_json)

    run(config, work)


def rule_lines(rules: list[Rule]) -> list[str]:
    """What holds for the queue, a line for each rule; none where nothing does."""
    return [line for rule in rules for line in (*pause_lines(rule), *_limit_lines(rule))]


def rules_json(rules: list[Rule]) -> list[dict[str, Any]]:
    """The same for scripts."""
    return [rule.model_dump(mode="json") for rule in rules]


def pause_lines(rule: Rule) -> list[str]:
    """Since when it is paused, and how to go on; nothing where it is not."""
    if rule.paused_at is None:
        return []
    option = f" --prefix {shlex.quote(rule.prefix)}" if rule.prefix else ""
    since = rule.paused_at.astimezone().strftime("%Y-%m-%d %H:%M")
    going_on = f", {rule.running} still running" if rule.running else ""
    return [
        visible(f"{_subject(rule.prefix)} is paused since {since} by {rule.paused_by}{going_on}")
        + visible(f"; go on with: orchestrator resume{option}")
    ]


def _limit_lines(rule: Rule) -> list[str]:
    if rule.max_running is None:
        return []
    return [visible(f"{rule.prefix} is limited to {rule.max_running} at once, {rule.running} running")]


async def _show(session: Session, as_json: bool) -> int:
    async with session.pool.connection() as connection:
        found = await rules.active_rules(connection)
    if as_json:
        print_json(rules_json(found))
    for line in rule_lines(found) or ["the queue is not paused, and no prefix is limited"] if not as_json else ():
        print(line)
    return 0


def _subject(prefix: str) -> str:
    return prefix or "the queue"


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # one without a name, as in a container
        user = str(os.getuid())
    return visible(f"{user}@{platform.node()}")
