"""The commands that look after what is stored: verify and prune."""

import re
import sys
from datetime import timedelta
from typing import Annotated

import typer

from orchestrator.arguments import BucketOption, JsonOption, SavepathsArgument, checked_all, usage
from orchestrator.jobs import versions
from orchestrator.jobs.models import as_argument
from orchestrator.screen import print_json, visible
from orchestrator.session import Session, complain, run
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.verify import Finding, evidence, findings
from reelscribe.command_line import ConfigOption

PRUNED_AT_ONCE = 200
"""Versions of one transaction: each may have thousands of segments."""
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator verify --all")(verify)
    cli.command(epilog="Example: orchestrator prune --older-than 30d")(prune)


def verify(
    savepaths: SavepathsArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="All transcripts of all buckets, or of --bucket.")] = False,
    bucket: BucketOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Prove again that transcripts are whole: segments without a gap, in order, within a recording that was heard to
    its end, by the receipts of Machine C. One line for each thing that is wrong, and exit code 1.
    """
    if bool(savepaths) == everything:
        usage("name savepaths, or give --all")
    named = checked_all(savepaths) or None

    async def work(session: Session) -> int:
        default = session.bucket(None)
        where = session.bucket(bucket) if named else bucket
        found: list[Finding] = []
        verified: set[str] = set()
        proved = incomplete = 0
        async for transcripts in evidence(session.pool, where, named):
            for transcript in transcripts:
                proved += 1
                incomplete += not transcript.complete
                for finding in findings(transcript):
                    found.append(finding)
                    if not as_json:
                        _tell(finding, default)
            if named:
                verified.update(transcript.savepath for transcript in transcripts)
        missing = [savepath for savepath in named or () if savepath not in verified]
        if as_json:
            wrong = [finding.model_dump() for finding in found]
            print_json({"verified": proved, "incomplete": incomplete, "findings": wrong, "missing": missing})
        else:
            by_request = f", {incomplete} of them incomplete, as their receipts say" if incomplete else ""
            print(f"{proved} transcript{'' if proved == 1 else 's'} verified{by_request}; {len(found)} wrong")
        async with session.pool.connection() as connection:
            for savepath in missing:
                why = await transcript_queries.no_transcript(connection, session.bucket(bucket), savepath, default)
                complain(visible(why.message))
        return 1 if found or missing else 0

    run(config, work)


def prune(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Replaced at least so long ago: hours (12h), days (30d), weeks (4w).")
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
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
                    gone = await versions.prune(connection, age, after, PRUNED_AT_ONCE)
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


def _tell(finding: Finding, default_bucket: str) -> None:
    again = f"orchestrator submit --force {as_argument(finding.savepath, finding.bucket, default_bucket)}"
    print(visible(f"{finding.savepath}: {finding.message}; have it made anew: {again}"), flush=True)


def _age(text: str) -> timedelta:
    written = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if not written:
        usage(f"--older-than: {text!r} is no age; write hours, days or weeks, such as 12h, 30d or 4w")
    return int(written[1]) * UNITS[written[2]]
