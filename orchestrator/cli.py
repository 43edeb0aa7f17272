"""The command line of Machine A; its commands are in the modules named ``…_command`` and ``…_commands``."""

import typer

from orchestrator import (
    export_command,
    failed_command,
    job_commands,
    queue_commands,
    search_command,
    service_commands,
    show_command,
    status_command,
    submit_command,
    upkeep_commands,
)

cli = typer.Typer(
    help="Machine A: a queue of savepaths, and the transcripts of them.",
    epilog="Exit codes: 0 done; 1 failed, not there or nothing found; 2 a wrong call or config.cfg; 130 interrupted."
    " Example: orchestrator up --config config.cfg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
submit_command.register(cli)
status_command.register(cli)
show_command.register(cli)
job_commands.register(cli)
failed_command.register(cli)
queue_commands.register(cli)
search_command.register(cli)
export_command.register(cli)
upkeep_commands.register(cli)
service_commands.register(cli)
