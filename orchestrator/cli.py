"""The command line of Machine A; its commands are in the modules named ``…_command`` and ``…_commands``."""

import typer

from orchestrator import export_command, job_commands, search_command, service_commands, submit_command

cli = typer.Typer(
    help="Machine A: a queue of savepaths, and the transcripts of them.",
    epilog="Example: orchestrator up --config config.cfg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
submit_command.register(cli)
job_commands.register(cli)
search_command.register(cli)
export_command.register(cli)
service_commands.register(cli)
