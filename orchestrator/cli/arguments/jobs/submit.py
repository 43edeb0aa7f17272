"""The arguments of ``submit``."""

from typing import Annotated

import typer

from orchestrator.cli.options import BucketOption, JsonOption, Mode, SavepathsArgument, checked_text, chosen_prefix
from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add this command."""
    cli.command(epilog="Example: orchestrator submit youtube/abc123.mp4 --wait")(submit)


def submit(
    savepaths: SavepathsArgument = None,
    from_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="One savepath a line; - for standard input.", callback=checked_text),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            help="All recordings of the bucket that start with this.", show_default=False, callback=chosen_prefix
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All recordings of the bucket.")] = False,
    bucket: BucketOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the jobs to their end; exit 1 if one fails.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Make a new version of what is already there.")] = False,
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="Accept recordings that are cut; their transcript says so.")
    ] = False,
    priority: Annotated[
        int | None,
        typer.Option(min=-1000, max=1000, help="Higher ones run first.", show_default="0, or what it is already"),
    ] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Such as en; default: detected.", show_default=False)
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(metavar="CODES", help="Detect one of these only, such as de,en.", show_default="any"),
    ] = None,
    word_timestamps: Annotated[bool, typer.Option("--word-timestamps", help="Times of each word.")] = False,
    mode: Annotated[
        Mode | None, typer.Option(help="sequential keeps the context, and is slower.", show_default="batched")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Any other option of POST /transcribe: task=translate; repeatable."),
    ] = None,
    upload: Annotated[
        bool, typer.Option("--upload", help="SAVEPATH names local files: put them into the bucket first.")
    ] = False,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the bucket that --upload stores in.",
            show_default=False,
            callback=checked_text,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="--upload may replace objects.")] = False,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Send a signed POST request there when each job has ended.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put savepaths into the queue; - reads them from standard input. What is transcribed or queued already is not
    submitted again, unless the object has changed since. Exit code 1 if a line cannot be a savepath; the others are
    queued nevertheless.
    """
    from orchestrator.cli import submit as work

    work.submit(
        savepaths,
        from_file,
        prefix,
        everything,
        bucket,
        dry_run,
        wait,
        force,
        allow_incomplete,
        priority,
        language,
        languages,
        word_timestamps,
        mode,
        option,
        upload,
        into,
        overwrite,
        webhook,
        as_json,
        config,
    )
