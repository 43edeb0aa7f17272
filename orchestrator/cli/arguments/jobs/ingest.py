"""The arguments of ``ingest``."""

from typing import Annotated

import typer

from orchestrator.cli.options import BucketOption, JsonOption, checked_text
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(
        epilog="Exit codes: 0 all is in the bucket, or gone from the web; 1 something failed, or all of it is gone; 3"
        " yt-dlp is missing or out of date: orchestrator ingest setup; 75 a source or the network does not answer now:"
        " run it again later. Example: orchestrator ingest https://www.youtube.com/watch?v=abc123"
    )(ingest)


def ingest(
    urls: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="URL",
            show_default=False,
            help="Pages or files; or one of the words setup (install or update yt-dlp), list (what is known, and why"
            " something is missing) and resume (ask all sources again).",
        ),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="All recordings of a channel; repeatable.", show_default=False),
    ] = None,
    playlist: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="All recordings of a list; repeatable.", show_default=False),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="A CSV file of addresses or YouTube's ids, with or without a header; - for standard input.",
            show_default=False,
            callback=checked_text,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Download N recordings at most.", show_default="all")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Try what was gone, and what has been removed from the bucket.")
    ] = False,
    into: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Folder of the bucket.", show_default="none", callback=checked_text),
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=-1000, max=1000, help="Of the jobs; higher ones run first.", show_default="0")
    ] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="That is spoken, such as en.", show_default="detected")
    ] = None,
    bucket: BucketOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Download recordings from the web into the bucket, and submit them. What is there already, or known to be gone,
    is skipped; what was interrupted is continued.
    """
    from orchestrator.cli import ingest as work

    work.ingest(urls, channel, playlist, csv, limit, again, into, priority, language, bucket, as_json, config)
