"""The ``orchestrator`` command and its commands, in the order in which ``--help`` lists them."""

import typer

from orchestrator.cli import (
    cancel,
    check,
    export,
    failed,
    limit,
    pause,
    prune,
    retry,
    search,
    services,
    show,
    status,
    submit,
    verify,
)

COMMANDS = (submit, status, show, retry, cancel, failed, pause, limit, search, export, verify, prune, services, check)

cli = typer.Typer(
    help="The orchestrator: a queue of savepaths, and the transcripts of them.",
    epilog="Exit codes: 0 done; 1 failed, not there or nothing found; 2 a wrong call or config.cfg; 130 interrupted."
    " Example: orchestrator up --config config.cfg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
for command in COMMANDS:
    command.register(cli)
