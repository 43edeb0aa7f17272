"""The arguments of ``export``."""

from typing import Annotated

import typer

from orchestrator.cli.options import (
    DEFAULT_FORMAT,
    BucketOption,
    ExportFormat,
    JsonOption,
    SavepathsArgument,
    checked_text,
)
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator export --all --format srt --output subtitles")(export)


def export(
    savepaths: SavepathsArgument = None,
    prefix: Annotated[
        str | None,
        typer.Option(help="All savepaths that start with this.", show_default=False, callback=checked_text),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that have a transcript.")] = False,
    format: Annotated[
        ExportFormat, typer.Option(help="json: one document each; jsonl and parquet: one row per segment.")
    ] = DEFAULT_FORMAT,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder to mirror the savepaths in; - for standard output.",
            show_default=False,
            callback=checked_text,
        ),
    ] = None,
    bucket: BucketOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write transcripts to files, or the one of a single SAVEPATH to standard output.

    Exit code 1 if one is missing or could not be written; the others are written nevertheless. --json prints how
    many there were of each.
    """
    from orchestrator.cli import export as work

    work.export(savepaths, prefix, everything, format, output, bucket, as_json, config)
