"""The arguments of ``export``."""

from typing import Annotated

import typer

from orchestrator.cli.options import (
    DEFAULT_FORMAT,
    BucketOption,
    ExportFormat,
    JsonOption,
    LanguageOption,
    ModelTextOption,
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
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Name of each file: {stem}, {name}, {folder}, {language}, {format}, {model}.",
            show_default="{stem}.{language}.{format} for subtitles, else {name}.{format}",
        ),
    ] = None,
    language: LanguageOption = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Only recordings modified then or later, UTC.", show_default=False),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(help="Only transcripts whose words have this mean probability, 0 to 1.", show_default=False),
    ] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Times before each line, or paragraph.")] = False,
    as_heard: ModelTextOption = False,
    tokens: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="parquet: audio tokens of each segment, by this tokeniser: mulaw."),
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

    work.export(
        *(savepaths, prefix, everything, format, output, name, language, since, min_confidence, timestamps),
        *(as_heard, tokens, bucket, as_json, config),
    )
