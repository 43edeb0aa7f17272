"""The arguments of ``search_segments``."""

from typing import Annotated

import typer

from orchestrator.cli.options import BucketOption, JsonOption, LanguageOption
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(name="search", epilog='Example: orchestrator search "happy horse" --prefix youtube/')(search_segments)


def search_segments(
    words: Annotated[
        list[str],
        typer.Argument(metavar="WORDS", help='All must be in a segment; "two words" are a phrase, hors* a beginning.'),
    ],
    prefix: Annotated[str, typer.Option(help="Only savepaths that start with this.", show_default=False)] = "",
    language: LanguageOption = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Only recordings modified then or later, UTC.", show_default=False),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Only recordings modified before then, or on that day.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Segments to show.")] = 20,
    bucket: BucketOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Search what was said, in the newest transcript of each savepath; exit 1 if it was said nowhere."""
    from orchestrator.cli import search as work

    work.search_segments(words, prefix, language, since, until, limit, bucket, as_json, config)
