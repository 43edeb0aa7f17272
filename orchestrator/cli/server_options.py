"""``--server`` and ``--token-file``, which every command takes: those that need the database say so."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.server import NO_OPTIONS, SERVER
from reelscribe.command_line import USAGE_EXIT_CODE, CommandLine

SERVER_HELP = "The orchestrator on another host, by its HTTP API. Default: $REELSCRIBE_SERVER, [client] server."
FILE_HELP = "File with the token to send there. Default: [client] token_file, [auth] token_file."


def _begin(url: str | None) -> str | None:
    SERVER.set(NO_OPTIONS._replace(url=url))
    return url


def _choose_server(url: str | None) -> str | None:
    if url is not None:
        SERVER.set(SERVER.get()._replace(url=url))
    return url


def _choose_token_file(file: Path | None) -> Path | None:
    if file is not None:
        SERVER.set(SERVER.get()._replace(token_file=file.absolute()))
    return file


def _refuse(given: str | None) -> str | None:
    if given is not None or SERVER.get() != NO_OPTIONS:
        from orchestrator.errors import NeedsDatabase

        print(NeedsDatabase("this command").message, file=sys.stderr)
        raise typer.Exit(USAGE_EXIT_CODE)
    return given


FirstServerOption = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help=SERVER_HELP, show_default=False, is_eager=True, callback=_begin),
]
"""Before the command; it is read first, and forgets what an earlier call in this process has said."""
ServerOption = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help=SERVER_HELP, show_default=False, callback=_choose_server),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help=FILE_HELP, show_default=False, callback=_choose_token_file),
]
RefusedServer = Annotated[str | None, typer.Option("--server", hidden=True, callback=_refuse)]
RefusedTokenFile = Annotated[str | None, typer.Option("--token-file", hidden=True, callback=_refuse)]


def _over_http(server: ServerOption = None, token_file: TokenFileOption = None) -> None: ...


def _on_database(server: RefusedServer = None, token_file: RefusedTokenFile = None) -> None: ...


def with_server_options(command: Any, over_http: bool) -> Any:
    """The command, or each command of the group, with these options; if it needs the database, they are hidden, and
    only say that it does.
    """
    for one in getattr(command, "commands", {}).values():
        with_server_options(one, over_http)
    if not hasattr(command, "commands"):
        command.params += _options(_over_http if over_http else _on_database)
    return command


def _options(function: Callable[..., None]) -> list[Any]:
    """The options of a function, which are read and not handed to the command."""
    cli = CommandLine()
    cli.command()(function)
    found = [option for option in typer.main.get_command(cli).params if option.name in ("server", "token_file")]
    for option in found:
        option.expose_value = False
    return found
