"""The command that shows what was given up, and why."""

import shlex
from collections import Counter
from pathlib import Path

from rich.table import Table
from rich.text import Text

from orchestrator.cli.console import print_json, print_table, visible
from orchestrator.jobs import failures
from orchestrator.jobs.failures import FailureGroup
from orchestrator.session import Session, run


def failed(as_json: bool, config: Path | None) -> None:
    """Show the failed jobs by reason, each with the command that has just those tried again."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            groups = await failures.groups(connection)
        commands = _commands(groups)
        if as_json:
            print_json([{**group.model_dump(), "retry": again} for group, again in zip(groups, commands, strict=True)])
        elif not groups:
            print("no job has failed")
        else:
            print_table(_table(groups))
            print()
            for again in commands:
                print(visible(again))
        return 0

    run(config, work)


def _table(groups: list[FailureGroup]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("JOBS", justify="right", no_wrap=True)
    table.add_column("CODE", no_wrap=True)
    table.add_column("REASON", overflow="fold")
    table.add_column("NEWEST", overflow="fold")
    for group in groups:
        table.add_row(str(group.count), Text(group.code), Text(visible(group.reason)), Text(visible(group.example)))
    return table


def _commands(groups: list[FailureGroup]) -> list[str]:
    """What has just the jobs of each group tried again."""
    reasons = Counter(group.code for group in groups)
    return [
        f"orchestrator retry --code {group.code}"
        + (f" --reason {shlex.quote(group.reason)}" if reasons[group.code] > 1 else "")
        for group in groups
    ]
