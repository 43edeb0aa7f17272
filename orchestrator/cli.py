"""The command line of Machine A; its commands are in ``submit_command``, ``job_commands`` and ``service_commands``."""

import typer

from orchestrator import job_commands, service_commands, submit_command

cli = typer.Typer(
    help="Machine A: a queue of savepaths, and the transcripts of them.",
    epilog="Example: orchestrator up --config config.cfg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
submit_command.register(cli)
job_commands.register(cli)
service_commands.register(cli)
