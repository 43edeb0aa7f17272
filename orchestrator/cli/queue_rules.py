"""The commands ``pause``, ``resume`` and ``limit``; and the rules of the queue, for people and for scripts."""

import getpass
import os
import platform
import shlex
from pathlib import Path
from typing import Any

from orchestrator.cli.console import print_json, visible
from orchestrator.cli.options import refuse_unmatched, usage
from orchestrator.queue import rules
from orchestrator.queue.rules import Rule
from orchestrator.session import Session, print_error, run

COMMAND = "  "
"""What begins a line that is a command, to be pasted: it is not broken."""


def pause(prefix: str, as_json: bool, config: Path | None) -> None:
    """Start no more jobs, on any worker, until resume. Running jobs are completed."""
    refuse_unmatched(prefix)

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            await rules.pause(connection, prefix, who())
        return await show_rules(session, as_json)

    run(config, work, creates=True)


def resume(prefix: str, as_json: bool, config: Path | None) -> None:
    """End a pause: that of the queue, or that of a prefix."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            ended = await rules.resume(connection, prefix)
        if not ended:
            print_error(visible(f"{subject(prefix)} was not paused"))
        await show_rules(session, as_json)
        return 0 if ended else 1

    run(config, work)


def limit(max_running: int | None, prefix: str, no_limit: bool, as_json: bool, config: Path | None) -> None:
    """Let at most N jobs run at the same time: of all, or of a prefix."""
    if (max_running is None) != no_limit:
        usage("give either N or --none; for some of the savepaths only, with --prefix PREFIX")
    if max_running is not None:
        refuse_unmatched(prefix)

    async def work(session: Session) -> int:
        removed = False
        async with session.pool.connection() as connection:
            if max_running is None:
                removed = await rules.remove_limit(connection, prefix)
            else:
                await rules.limit(connection, prefix, max_running)
        if no_limit and not removed:
            print_error(visible(f"{subject(prefix)} was not limited"))
        await show_rules(session, as_json)
        return 1 if no_limit and not removed else 0

    run(config, work, creates=not no_limit)


def rule_lines(rules: list[Rule]) -> list[str]:
    """The rules of the queue, at least one line each; none if there are no rules."""
    return [line for rule in rules for line in (*pause_lines(rule), *_limit_lines(rule))]


def rules_json(rules: list[Rule]) -> list[dict[str, Any]]:
    """The same for scripts."""
    return [rule.model_dump(mode="json") for rule in rules]


def pause_lines(rule: Rule) -> list[str]:
    """Since when it is paused, and the command that resumes it; nothing if it is not."""
    if rule.paused_at is None:
        return []
    option = f" --prefix {shlex.quote(rule.prefix)}" if rule.prefix else ""
    since = rule.paused_at.astimezone().strftime("%Y-%m-%d %H:%M")
    still_running = f", {rule.running} still running" if rule.running else ""
    return [
        visible(f"{subject(rule.prefix)} is paused since {since} by {rule.paused_by}{still_running}; continue with:"),
        visible(f"{COMMAND}orchestrator resume{option}"),
    ]


def _limit_lines(rule: Rule) -> list[str]:
    if rule.max_running is None:
        return []
    limited = f"{subject(rule.prefix)} is limited to {rule.max_running} at the same time"
    return [visible(f"{limited}, {rule.running} running")]


async def show_rules(session: Session, as_json: bool) -> int:
    async with session.pool.connection() as connection:
        found = await rules.active_rules(connection)
    if as_json:
        print_json(rules_json(found))
    for line in rule_lines(found) or ["the queue is neither paused nor limited"] if not as_json else ():
        print(line)
    return 0


def subject(prefix: str) -> str:
    return prefix or "the queue"


def who() -> str:
    """The person who runs a command, with the host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # one without a name, as in a container
        user = str(os.getuid())
    return visible(f"{user}@{platform.node()}")
