"""The commands ``retention plan`` and ``retention run``: what the rules no longer keep is shown, or removed."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from orchestrator.cli.bars import counting_bar
from orchestrator.cli.console import counted, out, print_json, visible
from orchestrator.cli.options import confirmed, require_answer
from orchestrator.cli.removal.delete import counts
from orchestrator.cli.tables import Row, Rows, local
from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.pool import try_lock
from orchestrator.exports.retention import Removed, Retention
from orchestrator.jobs.deletion import Deleted
from orchestrator.jobs.retention import Planned
from orchestrator.session import Session, print_error, run
from reelscribe.settings.retention import RetentionRule

NO_RULES = "config.cfg has no rules of [retention], so everything is kept"


def plan(as_json: bool, config: Path | None) -> None:
    """Say what each rule keeps, and what would be removed now."""

    async def work(session: Session) -> int:
        rules = session.settings.retention.rules
        planned = await Retention(session.pool, session.deletions, rules).plan() if rules else []
        if as_json:
            print_json([_document(rules, found) for found in planned])
        elif not rules:
            print_error(NO_RULES)
        else:
            out().print(_table(rules, planned))
            print(f"would remove {_what(rules, planned)}")
        return 0

    run(config, work)


def apply(yes: bool, as_json: bool, config: Path | None) -> None:
    """Remove what is no longer kept."""
    require_answer("retention run", yes)

    async def work(session: Session) -> int:
        rules = session.settings.retention.rules
        if not rules:
            print_error(NO_RULES)
            return 1
        async with try_lock(session.pool, AdvisoryLock.RETENTION) as alone:
            if not alone:
                print_error("another process applies the rules of [retention] now; try again when it has ended")
                return 1
            return await _apply(session, rules, yes, as_json)

    run(config, work, log_level=logging.ERROR)


async def _apply(session: Session, rules: Sequence[RetentionRule], yes: bool, as_json: bool) -> int:
    retention = Retention(session.pool, session.deletions, rules)
    planned = await retention.plan()
    total, removed = _total(planned), Removed()
    if total.savepaths or total.jobs:
        if not confirmed(f"Remove {_what(rules, planned)}?", yes):
            print_error("nothing was removed")
            return 1
        with counting_bar("removed", total.savepaths) as advance:
            async for some in retention.run():
                removed += some
                advance(some.deleted.savepaths)
    if as_json:
        kept = {"kept": removed.kept, "reason": removed.reason}
        print_json({**removed.deleted.model_dump(), "recordings": removed.recordings, **kept})
    else:
        print(f"removed {_counts(removed.deleted, removed.recordings)}")
    if removed.kept:
        print_error(visible(f"{counted(removed.kept, 'recording')} could not be removed now: {removed.reason}"))
    return 1 if removed.kept else 0


def _document(rules: Sequence[RetentionRule], planned: Planned) -> dict[str, Any]:
    rule = None if planned.rule is None else rules[planned.rule]
    oldest = planned.oldest_used_at
    return {
        "rule": rule and rule.text,
        "prefix": rule and rule.prefix,
        "recordings": planned.recordings,
        "expired": planned.expired.model_dump(),
        "with_recording": bool(rule and rule.with_recording),
        "given_up": planned.given_up,
        "oldest": planned.oldest,
        "oldest_used_at": oldest and oldest.isoformat(),
    }


def _table(rules: Sequence[RetentionRule], planned: Sequence[Planned]) -> Rows:
    rows = []
    for found in planned:
        notes = []
        if found.oldest and found.oldest_used_at:
            notes.append(f"the oldest: {visible(found.oldest)}, last used {local(found.oldest_used_at)}")
        cells = (f"{found.recordings:,}", f"{found.expired.savepaths:,}", f"{found.given_up:,}")
        name = "no rule: kept" if found.rule is None else visible(rules[found.rule].text)
        rows.append(Row([*map(Text, cells), Text(name)], notes))
    header = ("RECORDINGS", "EXPIRED", "GIVEN UP", "RULE")
    return Rows(header, rows, right=header[:-1])


def _total(planned: Sequence[Planned]) -> Deleted:
    """All that would be removed, failed and cancelled jobs of recordings that stay too."""
    total = sum((found.expired for found in planned), Deleted())
    return total + Deleted(jobs=sum(found.given_up for found in planned))


def _what(rules: Sequence[RetentionRule], planned: Sequence[Planned]) -> str:
    recordings = sum(
        found.expired.savepaths for found in planned if found.rule is not None and rules[found.rule].with_recording
    )
    return _counts(_total(planned), recordings)


def _counts(deleted: Deleted, recordings: int) -> str:
    if not deleted.savepaths and not deleted.jobs:
        return "nothing"
    also = f", and {counted(recordings, 'recording')} from the bucket" if recordings else ""
    return counts(deleted) + also
