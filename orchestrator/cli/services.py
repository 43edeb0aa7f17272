"""The commands that run until they are stopped: worker, serve, up, watch."""

import logging
from pathlib import Path

from orchestrator.services.all_in_one import bring_up
from orchestrator.services.run import serve_session, watch_session, work_session
from orchestrator.session import Session, run


def worker(config: Path | None) -> None:
    """Take jobs out of the queue until Ctrl-C or SIGTERM. Any number of workers share one queue."""
    run(config, work_session, logging.INFO, creates=True)


def serve(config: Path | None) -> None:
    """Run a worker and the HTTP API until Ctrl-C or SIGTERM."""
    run(config, serve_session, logging.INFO, creates=True)


def up(config: Path | None) -> None:
    """Run all three services on this host, in the foreground, until Ctrl-C or SIGTERM."""

    async def work(session: Session) -> int:
        return await bring_up(session, config)

    run(config, work, logging.INFO, creates=True)


def watch(config: Path | None) -> None:
    """Submit what comes into the bucket's local folder, for a MinIO that sends no events, until Ctrl-C or SIGTERM."""
    run(config, watch_session, logging.INFO, creates=True)
