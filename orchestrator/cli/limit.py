"""The command ``limit``."""

from pathlib import Path

from orchestrator.cli.options import usage
from orchestrator.cli.queue_rules import show_rules
from orchestrator.queue import rules
from orchestrator.session import Session, run


def limit(prefix: str, max_running: int | None, no_limit: bool, as_json: bool, config: Path | None) -> None:
    """Let at most N jobs of a prefix run at the same time. Jobs of other prefixes overtake those that wait."""
    if not prefix or (max_running is None) != no_limit:
        usage("give a PREFIX, and either N or --none")

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            await rules.limit(connection, prefix, max_running)
        return await show_rules(session, as_json)

    run(config, work, creates=True)
