"""The arguments of ``verify``."""

from typing import Annotated

import typer

from orchestrator.cli.options import BucketOrAllOption, JsonOption, SavepathsArgument
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator verify --all")(verify)


def verify(
    savepaths: SavepathsArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="All transcripts of all buckets, or of --bucket.")] = False,
    bucket: BucketOrAllOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Verify that transcripts are intact: segments without a gap, in order, within a recording that was transcribed to
    its end, by the receipts of the extractor. One line for each thing that is wrong, and exit code 1. A line too for
    each transcript with speech without words, which is nothing wrong: it may be music.
    """
    from orchestrator.cli import verify as work

    work.verify(savepaths, everything, bucket, as_json, config)
