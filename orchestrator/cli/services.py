"""The commands that run until they are stopped: worker, serve, up, watch, mcp."""

import logging
import sys
from pathlib import Path

from orchestrator.services.all_in_one import bring_up
from orchestrator.services.run import serve_session, watch_session, work_session
from orchestrator.session import Session, print_error, run


def worker(config: Path | None) -> None:
    """Take jobs out of the queue until Ctrl-C or SIGTERM. Any number of workers share one queue."""
    run(config, work_session, logging.INFO, creates=True, migrates=True, service="worker")


def serve(config: Path | None) -> None:
    """Run a worker and the HTTP API until Ctrl-C or SIGTERM."""
    run(config, serve_session, logging.INFO, creates=True, migrates=True, service="orchestrator")


def up(config: Path | None) -> None:
    """Run all three services on this host, in the foreground, until Ctrl-C or SIGTERM."""

    async def work(session: Session) -> int:
        return await bring_up(session, config)

    run(config, work, logging.INFO, creates=True, migrates=True, service="orchestrator")


def watch(config: Path | None) -> None:
    """Submit what comes into the bucket's local folder, for a MinIO that sends no events, until Ctrl-C or SIGTERM."""
    run(config, watch_session, logging.INFO, creates=True, service="watch")


def mcp(http: bool, config: Path | None) -> None:
    """Answer assistants: those that start this command on standard input and output, or all over HTTP."""
    # Only this command needs the package of the protocol, which takes a second.
    if http:
        from orchestrator.assistants.http import serve_assistants

        run(config, serve_assistants, logging.INFO, service="mcp")
    from orchestrator.assistants.stdio import serving, standard_streams

    if sys.stdin.isatty():
        print_error("an assistant starts this command and sends it messages, see docs/assistants.md; Ctrl-C ends it")
    with standard_streams() as (given, taken):
        run(config, serving(given, taken), logging.WARNING)
