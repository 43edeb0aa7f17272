"""Pauses and limits of the queue, for people and for scripts."""

import shlex
from typing import Any

from orchestrator.cli.console import print_json, visible
from orchestrator.queue import rules
from orchestrator.queue.rules import Rule
from orchestrator.session import Session


def rule_lines(rules: list[Rule]) -> list[str]:
    """The rules of the queue, at least one line each; none if there are no rules."""
    return [line for rule in rules for line in (*pause_lines(rule), *_limit_lines(rule))]


def rules_json(rules: list[Rule]) -> list[dict[str, Any]]:
    """The same for scripts."""
    return [rule.model_dump(mode="json") for rule in rules]


def pause_lines(rule: Rule) -> list[str]:
    """Since when it is paused, and how to resume it; nothing if it is not."""
    if rule.paused_at is None:
        return []
    option = f" --prefix {shlex.quote(rule.prefix)}" if rule.prefix else ""
    since = rule.paused_at.astimezone().strftime("%Y-%m-%d %H:%M")
    still_running = f", {rule.running} still running" if rule.running else ""
    return [
        visible(f"{subject(rule.prefix)} is paused since {since} by {rule.paused_by}{still_running}")
        + visible(f"; continue with: orchestrator resume{option}")
    ]


def _limit_lines(rule: Rule) -> list[str]:
    if rule.max_running is None:
        return []
    return [visible(f"{rule.prefix} is limited to {rule.max_running} at the same time, {rule.running} running")]


async def show_rules(session: Session, as_json: bool) -> int:
    async with session.pool.connection() as connection:
        found = await rules.active_rules(connection)
    if as_json:
        print_json(rules_json(found))
    for line in rule_lines(found) or ["the queue is not paused, and no prefix is limited"] if not as_json else ():
        print(line)
    return 0


def subject(prefix: str) -> str:
    return prefix or "the queue"
