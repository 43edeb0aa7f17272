"""The command ``prune``."""

import re
import sys
from datetime import timedelta
from pathlib import Path

import typer

from orchestrator.cli.console import print_json
from orchestrator.cli.options import usage
from orchestrator.jobs import versions
from orchestrator.session import Session, run

PRUNED_PER_TRANSACTION = 200
"""Few, for each version may have thousands of segments."""

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def prune(older_than: str, dry_run: bool, yes: bool, as_json: bool, config: Path | None) -> None:
    """Remove versions of transcripts that a newer one has replaced. The newest finished one always stays."""
    age = _age(older_than)
    if not (dry_run or yes or sys.stdin.isatty()):
        usage("prune asks before it removes, and there is no terminal to ask on; give --yes")

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            wanted = await versions.prunable(connection, age)
        what = f"{wanted.versions} replaced version(s) of {wanted.savepaths} savepath(s)"
        removed = 0
        if wanted.versions and not dry_run and (yes or typer.confirm(f"Remove {what}?", err=True)):
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
            print(f"removed {removed} replaced version(s)")
        return 0

    run(config, work)


def _age(text: str) -> timedelta:
    written = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if not written:
        usage(f"--older-than: {text!r} is not an age; write hours, days or weeks, such as 12h, 30d or 4w")
    return int(written[1]) * UNITS[written[2]]
