"""The ``orchestrator`` command and its commands, in the order in which ``--help`` lists them."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from orchestrator.cli.server_options import FirstServerOption, TokenFileOption, with_server_options
from reelscribe.command_line import CommandLine, ConfigOption, VersionOption

COMMANDS = {
    "submit": "jobs.submit",
    "ingest": "jobs.ingest",
    "status": "jobs.status",
    "list": "transcripts.list_transcripts",
    "show": "transcripts.show",
    "retry": "jobs.retry",
    "cancel": "jobs.cancel",
    "failed": "jobs.failed",
    "pause": "jobs.pause",
    "resume": "jobs.pause",
    "limit": "jobs.pause",
    "search": "transcripts.search",
    "export": "transcripts.export",
    "vocabulary": "transcripts.vocabulary",
    "webhooks": "administration.webhooks",
    "dataset": "datasets.dataset",
    "verify": "transcripts.verify",
    "prune": "transcripts.delete",
    "delete": "transcripts.delete",
    "retention": "transcripts.retention",
    "up": "administration.services",
    "serve": "administration.services",
    "worker": "administration.services",
    "watch": "administration.services",
    "mcp": "administration.services",
    "database": "administration.database",
    "check": "administration.check",
    "doctor": "administration.doctor",
    "config": "administration.config",
}
"""Each command, and the module of :mod:`orchestrator.cli.arguments` that registers it."""

OVER_HTTP = {
    *("submit", "status", "list", "show", "search", "export", "retry", "cancel", "delete", "vocabulary"),
}
"""Commands that have a way over HTTP too."""


class LazyGroup(TyperGroup):
    """A command is imported when it is called, completed, or listed by ``--help``."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options before the command; typer imports pydantic to read them, even those that are not given."""
        found: list[Any] = super().get_params(ctx)
        for parameter in found:
            if "process_value" not in vars(parameter):
                parameter.process_value = _if_given(parameter)
        return found

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"orchestrator.cli.arguments.{COMMANDS[cmd_name]}")
        of_module = CommandLine(rich_markup_mode=None)
        of_module.callback()(lambda: None)  # without it, a group of one command would be the command
        module.register(of_module)
        command = typer.main.get_group(of_module).get_command(ctx, cmd_name)
        return with_server_options(command, cmd_name in OVER_HTTP)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List them with their first sentence, however long it is."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.get_command(ctx, name).get_short_help_str()) for name in COMMANDS])


def _if_given(parameter: Any) -> Callable[[Any, Any], Any]:
    """What reads the value of an option; that of one that is not given is None."""
    process = parameter.process_value

    def read(ctx: Any, value: Any) -> Any:
        if value is not None:
            return process(ctx, value)
        return parameter.callback(ctx, parameter, None) if parameter.callback else None

    return read


cli = typer.Typer(
    cls=LazyGroup,
    help="The orchestrator: a queue of savepaths, and the transcripts of them.",
    epilog="Exit codes: 0 done; 1 failed, not there or nothing found; 2 a wrong call or config.cfg; 3 the database is"
    " of a newer version; 130 interrupted; 141 the reader of standard output has left."
    " Example: orchestrator up --config config.cfg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)


@cli.callback()
def orchestrator(
    config: ConfigOption = None,
    server: FirstServerOption = None,
    token_file: TokenFileOption = None,
    version: VersionOption = False,
) -> None:
    """Take these before the command too."""
