"""Whose turn it is: by priority, then in the order of submission, past what is paused or has enough running.

A rule is a row, so all workers keep it from the same moment on. It holds up no job but its own: those stand in a lane
of their own (``queue_name``), which is passed over while it is closed. A new rule touches no job; those that were
queued before it are looked past while :mod:`orchestrator.queue.backlog` moves them.
"""

from collections.abc import Sequence
from datetime import datetime

from psycopg.rows import class_row

from orchestrator.database.sql import Connection
from orchestrator.jobs.models import Record
from orchestrator.queue.order import EVERYTHING, FORWARD, LANE, SAVEPATH, wake

_RULES = f"""
    select r.id, r.prefix, r.max_running, r.paused_at, r.paused_by, (
        select count(*) from procrastinate_jobs j
        where j.status = 'doing' and j.worker_id is not null and starts_with({SAVEPATH}, r.prefix)
    ) as running
    from queue_rules r
"""


class Rule(Record):
    """What holds for savepaths that start with ``prefix``; the empty one is every savepath.

    Attributes:
        max_running: jobs at once, of all workers together.
        paused_by: user and host.
        running: how many jobs there are at work.
    """

    prefix: str
    max_running: int | None
    paused_at: datetime | None
    paused_by: str | None
    running: int

    @property
    def closed(self) -> bool:
        """Whether no further job may start."""
        return self.paused_at is not None or (self.max_running is not None and self.running >= self.max_running)


class KeptRule(Rule):
    """A rule with the number of its lane."""

    id: int


async def active_rules(connection: Connection) -> list[Rule]:
    """Those that say something."""
    async with connection.cursor(row_factory=class_row(Rule)) as cursor:
        await cursor.execute(f"{_RULES} where max_running is not null or paused_at is not null order by prefix")
        return await cursor.fetchall()


async def pause(connection: Connection, prefix: str, by: str) -> None:
    """Start no more jobs of a prefix; those that run go on. A pause that is there already stays as it is."""
    await connection.execute(
        """
        insert into queue_rules as r (prefix, paused_at, paused_by) values (%s, now(), %s)
        on conflict (prefix) do update set paused_at = excluded.paused_at, paused_by = excluded.paused_by
        where r.paused_at is null
        """,
        (prefix, by),
    )


async def resume(connection: Connection, prefix: str) -> bool:
    """End a pause of exactly this prefix; whether there was one."""
    cursor = await connection.execute(
        "update queue_rules set paused_at = null, paused_by = null where prefix = %s and paused_at is not null",
        (prefix,),
    )
    await wake(connection)
    return cursor.rowcount > 0


async def limit(connection: Connection, prefix: str, max_running: int | None) -> None:
    """Let at most so many jobs of a prefix run at once, on all workers together; None takes the limit away."""
    await connection.execute(
        """
        insert into queue_rules (prefix, max_running) values (%s, %s)
        on conflict (prefix) do update set max_running = excluded.max_running
        """,
        (prefix, max_running),
    )
    await wake(connection)


async def all_rules(connection: Connection) -> list[KeptRule]:
    """All there are, those too that say nothing now: jobs may stand in their lanes."""
    async with connection.cursor(row_factory=class_row(KeptRule)) as cursor:
        await cursor.execute(_RULES)
        return await cursor.fetchall()


def closed_prefixes(kept: Sequence[KeptRule]) -> list[str]:
    """Of which no further job may start."""
    return [rule.prefix for rule in kept if rule.closed]


def open_lanes(kept: Sequence[KeptRule], closed: Sequence[str]) -> list[str]:
    """Where a job may stand that may start."""
    if EVERYTHING in closed:
        return []
    ruled = [f"{LANE}/{rule.id}" for rule in kept if rule.prefix and not rule.prefix.startswith(tuple(closed))]
    return [LANE, *ruled, FORWARD] if kept else [LANE]
