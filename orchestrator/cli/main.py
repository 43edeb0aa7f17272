"""The ``orchestrator`` command and its commands, in the order in which ``--help`` lists them."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from reelscribe.command_line import ConfigOption, VersionOption

COMMANDS = {
    "submit": "submit",
    "status": "status",
    "show": "show",
    "retry": "retry",
    "cancel": "cancel",
    "failed": "failed",
    "pause": "pause",
    "resume": "pause",
    "limit": "limit",
    "search": "search",
    "export": "export",
    "verify": "verify",
    "prune": "prune",
    "up": "services",
    "serve": "services",
    "worker": "services",
    "watch": "services",
    "check": "check",
    "config": "config",
}
"""Each command, and the module of :mod:`orchestrator.cli.arguments` that registers it."""


class LazyGroup(TyperGroup):
    """A command is imported when it is called, completed, or listed by ``--help``."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"orchestrator.cli.arguments.{COMMANDS[cmd_name]}")
        of_module = typer.Typer(rich_markup_mode=None)
        of_module.callback()(lambda: None)  # without it, a group of one command would be the command
        module.register(of_module)
        return typer.main.get_group(of_module).get_command(ctx, cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List them with their first sentence, however long it is."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.get_command(ctx, name).get_short_help_str(1000)) for name in COMMANDS])


cli = typer.Typer(
    cls=LazyGroup,
    help="The orchestrator: a queue of savepaths, and the transcripts of them.",
    epilog="Exit codes: 0 done; 1 failed, not there or nothing found; 2 a wrong call or config.cfg; 130 interrupted."
    " Example: orchestrator up --config config.cfg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)


@cli.callback()
def orchestrator(config: ConfigOption = None, version: VersionOption = None) -> None:
    """Take ``--config`` before the command too."""
