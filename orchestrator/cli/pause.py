"""The commands ``pause`` and ``resume``."""

import getpass
import os
import platform
from pathlib import Path

from orchestrator.cli.console import visible
from orchestrator.cli.queue_rules import show_rules, subject
from orchestrator.queue import rules
from orchestrator.session import Session, print_error, run


def pause(prefix: str, as_json: bool, config: Path | None) -> None:
    """Start no more jobs, on any worker, until resume. Running jobs are completed."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            await rules.pause(connection, prefix, _who())
        return await show_rules(session, as_json)

    run(config, work, creates=True)


def resume(prefix: str, as_json: bool, config: Path | None) -> None:
    """End a pause: that of the queue, or that of a prefix."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            ended = await rules.resume(connection, prefix)
        if not ended:
            print_error(f"{subject(prefix)} was not paused")
        await show_rules(session, as_json)
        return 0 if ended else 1

    run(config, work)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # one without a name, as in a container
        user = str(os.getuid())
    return visible(f"{user}@{platform.node()}")
