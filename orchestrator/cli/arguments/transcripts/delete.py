"""The arguments of ``delete`` and ``prune``."""

from typing import Annotated

import typer

from orchestrator.cli.options import (
    BucketOrAllWithCodeOption,
    JsonOption,
    SavepathsArgument,
    YesOption,
    checked_text,
    chosen_prefix,
)
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator delete youtube/abc123.mp4")(delete)
    cli.command(epilog="Example: orchestrator prune --older-than 30d")(prune)


def delete(
    savepaths: SavepathsArgument = None,
    prefix: Annotated[
        str | None,
        typer.Option(help="All savepaths that start with this.", show_default=False, callback=chosen_prefix),
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(help="Only the jobs that failed with this code.", show_default=False, callback=checked_text),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(
            help="With --code: only those with this REASON of: orchestrator failed.",
            show_default=False,
            callback=checked_text,
        ),
    ] = None,
    bucket: BucketOrAllWithCodeOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Forget recordings: jobs, all versions of the transcript, and the results that are stored in a bucket.

    Running jobs are cancelled. The recording itself stays in its bucket. Asks before it removes anything.
    """
    from orchestrator.cli.removal import delete as work

    work.delete(savepaths, prefix, code, reason, bucket, yes, as_json, config)


def prune(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Replaced at least this long ago: hours (12h), days (30d), weeks (4w).")
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Remove versions of transcripts that a newer one has replaced. The newest finished one always stays."""
    from orchestrator.cli.removal import delete as work

    work.prune(older_than, dry_run, yes, as_json, config)
