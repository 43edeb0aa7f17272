"""The arguments of ``up``, ``serve``, ``worker``, ``watch``, ``mcp``."""

from typing import Annotated

import typer

from reelscribe.command_line import ConfigOption


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command(epilog="Example: orchestrator up --config config.cfg")(up)
    cli.command(epilog="Example: orchestrator serve --config /etc/reelscribe/config.cfg")(serve)
    cli.command(epilog="Example: orchestrator worker --config /etc/reelscribe/config.cfg")(worker)
    cli.command(epilog="Example: orchestrator watch --config config.cfg")(watch)
    cli.command(epilog="Example: orchestrator mcp --config /etc/reelscribe/config.cfg")(mcp)


def up(config: ConfigOption = None) -> None:
    """Run all three services on this host, in the foreground, until Ctrl-C or SIGTERM."""
    from orchestrator.cli import services as work

    work.up(config)


def serve(config: ConfigOption = None) -> None:
    """Run a worker and the HTTP API until Ctrl-C or SIGTERM."""
    from orchestrator.cli import services as work

    work.serve(config)


def worker(config: ConfigOption = None) -> None:
    """Take jobs out of the queue until Ctrl-C or SIGTERM. Any number of workers share one queue."""
    from orchestrator.cli import services as work

    work.worker(config)


def watch(config: ConfigOption = None) -> None:
    """Submit what comes into the bucket's local folder, for a MinIO that sends no events, until Ctrl-C or SIGTERM."""
    from orchestrator.cli import services as work

    work.watch(config)


def mcp(
    http: Annotated[
        bool, typer.Option("--http", help="Listen at [mcp] host and port, in place of standard input.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Let assistants search, read and submit, by the Model Context Protocol on standard input and output."""
    from orchestrator.cli import services as work

    work.mcp(http, config)
