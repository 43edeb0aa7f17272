"""The command that shows what was given up, why, and what helps."""

import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.cli.console import out, print_json, visible
from orchestrator.cli.tables import Indented, options_text, without
from orchestrator.jobs import failures
from orchestrator.jobs.failures import FailureGroup
from orchestrator.jobs.remedies import Remedy, remedy
from orchestrator.session import Session, run

FEW = 3
"""Savepaths of each group that are named, unless a code is."""


def failed(code: str | None, as_json: bool, config: Path | None) -> None:
    """Show the failed jobs by reason, each with what helps."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            groups = await failures.groups(connection)
        reasons = Counter(group.code for group in groups)
        groups = [group for group in groups if code in (None, group.code)]
        selections = [_selection(group, reasons[group.code] > 1) for group in groups]
        if as_json:
            print_json([_document(*found) for found in zip(groups, selections, strict=True)])
        elif not groups:
            print("no job has failed" if code is None else f"no job has failed with the code {code}")
        else:
            most = FEW if code is None else failures.MOST_SAVEPATHS
            for group, selection in zip(groups, selections, strict=True):
                out().print(_block(group, selection, most))
        return 0

    run(config, work)


def _selection(group: FailureGroup, several: bool) -> str:
    """The options of ``retry`` and ``delete`` that mean just this group."""
    return f"--code {group.code}" + (f" --reason {shlex.quote(group.reason)}" if several else "")


def _document(group: FailureGroup, selection: str) -> dict[str, Any]:
    """For scripts; ``retry`` and ``allow_incomplete`` are null if they do not help."""
    helps = remedy(group.code)
    return {
        **group.model_dump(),
        "retry": f"orchestrator retry {selection}" if helps is Remedy.RETRY else None,
        "allow_incomplete": (
            f"orchestrator retry {selection} --allow-incomplete" if helps is Remedy.ALLOW_INCOMPLETE else None
        ),
        "delete": f"orchestrator delete {selection}",
    }


def _block(group: FailureGroup, selection: str, most: int) -> RenderableType:
    """For people: the reason, some savepaths, and what helps."""
    jobs = "1 job" if group.count == 1 else f"{group.count:,} jobs"
    shown = [
        visible(savepath) + (f", with {options_text(options)}" if options else "")
        for savepath, options in zip(group.savepaths[:most], group.options, strict=False)
    ]
    reason = without(group.example, group.message) if group.count == 1 else group.reason
    if group.count > len(shown):
        shown.append(f"… and {group.count - len(shown):,} more: orchestrator failed --code {group.code}")
    return Group(
        Indented(Text.assemble((jobs, "bold"), ", ", (group.code, "red"), f": {visible(reason)}"), 0),
        *(Indented(line, style="dim") for line in shown),
        *(Text(visible(line), no_wrap=True, overflow="ignore") for line in _advice(group.code, selection)),
        Text(),
    )


def _advice(code: str, selection: str) -> tuple[str, ...]:
    """Each command on a line of its own, to be pasted."""
    match remedy(code):
        case Remedy.RETRY:
            return (f"  try again with: orchestrator retry {selection}",)
        case Remedy.ALLOW_INCOMPLETE:
            return (
                "  replace them and submit them again, or accept what there is of them with:",
                f"  orchestrator retry {selection} --allow-incomplete",
            )
        case Remedy.REPLACE:
            return (
                "  submit the right recordings, or with other options; remove these jobs with:",
                f"  orchestrator delete {selection}",
            )
