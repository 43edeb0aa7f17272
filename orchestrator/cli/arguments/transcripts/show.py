"""The arguments of ``show``."""

from typing import Annotated

import typer

from orchestrator.cli.options import BucketOption, ModelTextOption
from reelscribe.command_line import ConfigOption
from reelscribe.text.formats import Format


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator show youtube/abc123.mp4 --format srt > abc123.srt")(show)


def show(
    savepath: Annotated[str, typer.Argument(metavar="SAVEPATH")],
    format: Annotated[
        Format | None,
        typer.Option(help="json has all: receipt, words, tokens.", show_default="coloured on a terminal, else txt"),
    ] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Times before each line, or paragraph.")] = False,
    as_heard: ModelTextOption = False,
    history: Annotated[bool, typer.Option("--history", help="Who edited what, and when, the newest first.")] = False,
    bucket: BucketOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print a transcript; on a terminal with times, and words coloured by how sure the model is of them."""
    from orchestrator.cli import show as work

    if history:
        work.show_history(savepath, bucket, as_json, config)
    else:
        work.show(savepath, format, timestamps, as_heard, bucket, as_json, config)
