"""The arguments of ``list``."""

from typing import Annotated

import typer

from orchestrator.cli.options import BucketOption, JsonOption, LanguageOption, checked_text
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(name="list", epilog="Example: orchestrator list --prefix youtube/ --language en")(list_transcripts)


def list_transcripts(
    prefix: Annotated[
        str | None,
        typer.Option(help="Only savepaths that start with this.", show_default=False, callback=checked_text),
    ] = None,
    language: LanguageOption = None,
    after: Annotated[
        str | None, typer.Option(metavar="SAVEPATH", help="Continue after this savepath.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Transcripts to list.")] = 100,
    bucket: BucketOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the newest transcript of each savepath: when it was finished, language, length and model."""
    from orchestrator.cli import list_transcripts as work

    work.list_transcripts(prefix, language, after, limit, bucket, as_json, config)
