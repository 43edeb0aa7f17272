"""The arguments of ``retention``."""

import typer

from orchestrator.cli.options import JsonOption, YesOption
from reelscribe.command_line import CommandLine, ConfigOption


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    retention = CommandLine(rich_markup_mode=None, no_args_is_help=True)
    retention.command(epilog="Example: orchestrator retention plan")(plan)
    retention.command("run", epilog="Example: orchestrator retention run --yes")(apply)
    cli.add_typer(
        retention,
        name="retention",
        help="Remove what the rules of [retention] in config.cfg no longer keep.",
        epilog="Example: orchestrator retention plan",
    )


def plan(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Say what each rule keeps, and what would be removed now. Changes nothing."""
    from orchestrator.cli.removal import retention as work

    work.plan(as_json, config)


def apply(yes: YesOption = False, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Remove what is no longer kept: transcripts, all their versions, edits, stored results. Asks first.

    The recordings themselves stay in their bucket, unless a rule says: with recording. It can be ended and run again.
    """
    from orchestrator.cli.removal import retention as work

    work.apply(yes, as_json, config)
