"""The arguments of ``status``."""

from typing import Annotated

import typer

from orchestrator.cli.options import BucketOrAllOption, JobState, JsonOption, checked_text
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator status --watch")(status)


def status(
    savepath: Annotated[str | None, typer.Argument(metavar="SAVEPATH", show_default=False)] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Continue until Ctrl-C, or until SAVEPATH is finished. In a pipe: one line per change."
        ),
    ] = False,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.", show_default=False)] = None,
    prefix: Annotated[
        str | None,
        typer.Option(help="Only savepaths that start with this.", show_default=False, callback=checked_text),
    ] = None,
    bucket: BucketOrAllOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Jobs to show: running ones, then the newest.")] = 10,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the queue, its speed, and about how long it will take; or the jobs of one savepath.

    The queue is that of all buckets, or of --bucket. --state and --prefix narrow it down.

    With SAVEPATH and --watch, exit code 1 if it failed or was cancelled.
    """
    from orchestrator.cli import status as work

    work.status(savepath, watch, state and state.value, prefix, bucket, limit, as_json, config)
