"""The commands ``delete`` and ``prune``: forget recordings, remove jobs that failed, or replaced versions."""

import re
from datetime import timedelta
from pathlib import Path

from orchestrator.access.interface import Access
from orchestrator.access.opening import run
from orchestrator.cli.console import counted, print_json, visible
from orchestrator.cli.options import checked_all, confirmed, require_answer, usage
from orchestrator.jobs import deletion, failures, versions
from orchestrator.jobs.deletion import Deleted
from orchestrator.session import Session, print_error
from orchestrator.session import run as run_on_database

PRUNED_PER_TRANSACTION = 200
"""Few, for each version may have thousands of segments."""

MOST_NAMED = 5
"""Savepaths that one sentence names."""

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def delete(
    savepaths: list[str] | None,
    prefix: str | None,
    code: str | None,
    reason: str | None,
    bucket: str | None,
    yes: bool,
    as_json: bool,
    config: Path | None,
) -> None:
    """Forget recordings, or remove jobs that failed with a code. Asks first."""
    if bool(savepaths) + bool(prefix) + (code is not None) != 1:
        usage("name savepaths, or give --prefix, or --code")
    if reason is not None and code is None:
        usage("--reason goes with --code; see: orchestrator failed")
    named = list(dict.fromkeys(checked_all(savepaths))) or None
    require_answer("delete", yes)

    async def named_ones(access: Access) -> int:
        where = access.bucket(bucket)
        wanted, unknown = await access.count_known(where, named or ())
        if unknown:
            print_error(f"{_all_unknown(unknown)}; nothing was removed")
            return 1
        if not confirmed(f"Remove {counts(wanted)}?", yes):
            print_error("nothing was removed")
            return 1
        return _report(await access.delete(where, named or ()), wanted, access.resubmits, as_json)

    async def many(access: Access) -> int:
        session = access.session("delete --prefix or --code")
        where = session.bucket(bucket)
        failed: list[int] = []
        async with session.pool.connection() as connection:
            if code is not None:
                failed = await failures.failed_ids(connection, bucket, code, reason)
                wanted = Deleted(jobs=len(failed))
            else:
                last = await deletion.last_recording(connection)
                wanted = await deletion.count(connection, where, None, prefix or "", last)
        nothing = removed = Deleted()
        if wanted != nothing:
            if not confirmed(f"Remove {counts(wanted)}?", yes):
                print_error("nothing was removed")
                return 1
            if code is not None:
                removed = await session.deletions.delete_failed(failed, code)
                if kept := wanted.jobs - removed.jobs:
                    print_error(f"{kept} of these jobs stay{'s' if kept == 1 else ''}: retried or removed meanwhile")
            else:
                removed = await session.deletions.delete(where, None, prefix or "", last)
        return _report(removed, wanted, bool(session.settings.events.reconcile_every), as_json)

    run(config, named_ones if named else many)


def _report(removed: Deleted, wanted: Deleted, resubmits: bool, as_json: bool) -> int:
    """Print what was removed; the exit code."""
    if as_json:
        print_json(removed.model_dump())
    elif wanted == Deleted():
        print_error("nothing is known of these; see what there is: orchestrator status")
    else:
        print(f"removed {counts(removed)}")
    if removed.savepaths and resubmits:
        print_error("recordings that are still in the bucket are submitted again by [events] reconcile_every")
    return 0 if removed != Deleted() else 1


def _all_unknown(savepaths: list[str]) -> str:
    """That these have not been submitted: the first ones by name, and how many more there are."""
    named, more = savepaths[:MOST_NAMED], len(savepaths) - MOST_NAMED
    names = visible(", ".join(named)) + (f" and {more} more" if more > 0 else "")
    return f"{names} {'has' if len(savepaths) == 1 else 'have'} not been submitted"


def prune(older_than: str, dry_run: bool, yes: bool, as_json: bool, config: Path | None) -> None:
    """Remove versions of transcripts that a newer one has replaced. The newest finished one always stays."""
    age = _age(older_than)
    if not dry_run:
        require_answer("prune", yes)

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            wanted = await versions.prunable(connection, age)
        what = f"{counted(wanted.versions, 'replaced version')} of {counted(wanted.savepaths, 'savepath')}"
        removed = 0
        if wanted.versions and not dry_run and confirmed(f"Remove {what}?", yes):
            after = 0
            while True:
                async with session.pool.connection() as connection:
                    gone = await versions.prune(connection, age, after, PRUNED_PER_TRANSACTION)
                if not gone:
                    break
                removed, after = removed + len(gone), gone[-1]
        if as_json:
            print_json({**wanted._asdict(), "removed": removed, "dry_run": dry_run})
        elif dry_run:
            print(f"would remove {what}")
        else:
            print(f"removed {counted(removed, 'replaced version')}")
        return 0

    run_on_database(config, work)


def counts(found: Deleted) -> str:
    """How much that is, such as ``2 transcripts, 3 jobs of 1 savepath``."""
    kinds = (
        (found.transcripts, "transcript"),
        (found.jobs, "job"),
        (found.results, "stored result"),
        (found.edits, "edit"),
    )
    parts = [counted(count, word) for count, word in kinds if count]
    of = f" of {counted(found.savepaths, 'savepath')}" if found.savepaths else ""
    return (", ".join(parts) or "no job") + of


def _age(text: str) -> timedelta:
    written = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if not written:
        usage(f"--older-than: {text!r} is not an age; write hours, days or weeks, such as 12h, 30d or 4w")
    return int(written[1]) * UNITS[written[2]]
