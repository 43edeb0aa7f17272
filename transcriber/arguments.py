"""What the ``transcriber`` command takes; its help imports nothing that takes long."""

import typer

from reelscribe.command_line import CommandLine, ConfigOption, VersionOption

cli = CommandLine(
    help="The transcriber: turns a savepath, or an uploaded file, into segments of text, sent as they are decoded.",
    epilog="Example: transcriber --config config.cfg",
    add_completion=False,
    rich_markup_mode=None,
)


@cli.callback(invoke_without_command=True)
def run(context: typer.Context, config: ConfigOption = None, version: VersionOption = False) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    if context.invoked_subcommand:
        return
    from transcriber import command

    command.run(config)


@cli.command(epilog="Example: transcriber check --config config.cfg")
def check(config: ConfigOption = None) -> None:
    """Check config, ffmpeg, its sandbox, model, device and the extractor, one line each; exit 1 if one fails."""
    from transcriber import command

    command.check(config)
