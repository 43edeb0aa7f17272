"""What the ``extractor-api`` command takes; its help imports nothing that takes long."""

import typer

from reelscribe.command_line import CommandLine, ConfigOption, VersionOption

cli = CommandLine(
    help="The extractor: POST /extract-audio turns a savepath of a MinIO bucket into a stream of audio.",
    epilog="Example: extractor-api --config config.cfg",
    add_completion=False,
    rich_markup_mode=None,
)


@cli.callback(invoke_without_command=True)
def run(context: typer.Context, config: ConfigOption = None, version: VersionOption = False) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    if context.invoked_subcommand:
        return
    from extractor_api import command

    command.run(config)


@cli.command(epilog="Example: extractor-api check --config config.cfg")
def check(config: ConfigOption = None) -> None:
    """Check config, ffmpeg, its sandbox, each bucket and MinIO if it is set, one line each; exit 1 if one fails."""
    from extractor_api import command

    command.check(config)
