"""Pauses and limits: which jobs may start, by the prefix of their savepaths.

A rule is a row of the database, so all workers follow it from the same moment on, for work of every kind. It blocks no
job but its own: those wait in a sub-queue, which is skipped while the rule is closed. A new rule touches no job; those
that were queued before it are skipped while :mod:`orchestrator.queue.backlog` moves them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from orchestrator.database.sql import Connection, fetch_models
from orchestrator.jobs.models import Record
from orchestrator.queue.order import EVERYTHING, FORWARD, sub_queue, wake

_RULES = """
    select r.id, r.prefix, r.max_running, r.paused_at, r.paused_by, (
        select count(*) from procrastinate_jobs j
        where j.status = 'doing' and j.worker_id is not null and starts_with(j.savepath, r.prefix)
    ) as running
    from queue_rules r
"""


class Rule(Record):
    """What holds for savepaths that start with ``prefix``; the empty one is every savepath.

    Attributes:
        max_running: jobs at the same time, on all workers together.
        paused_by: user and host.
        running: how many of its jobs run.
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


class StoredRule(Rule):
    """A rule with the number of its sub-queue; it may have no effect now."""

    id: int


async def active_rules(connection: Connection) -> list[Rule]:
    """Those that have an effect."""
    condition = "where max_running is not null or paused_at is not null order by prefix"
    return await fetch_models(connection, Rule, f"{_RULES} {condition}")


async def all_rules(connection: Connection) -> list[StoredRule]:
    """All that exist, those without effect too: jobs may wait in their sub-queues."""
    return await fetch_models(connection, StoredRule, _RULES)


async def pause(connection: Connection, prefix: str, by: str) -> None:
    """Start no more jobs of a prefix; those that run continue. An existing pause stays as it is."""
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


async def limit(connection: Connection, prefix: str, max_running: int) -> None:
    """Let at most so many jobs of a prefix run at the same time, on all workers together."""
    await connection.execute(
        """
        insert into queue_rules (prefix, max_running) values (%s, %s)
        on conflict (prefix) do update set max_running = excluded.max_running
        """,
        (prefix, max_running),
    )
    await wake(connection)


async def remove_limit(connection: Connection, prefix: str) -> bool:
    """End a limit of exactly this prefix; whether there was one."""
    cursor = await connection.execute(
        "update queue_rules set max_running = null where prefix = %s and max_running is not null", (prefix,)
    )
    await wake(connection)
    return cursor.rowcount > 0


def closed_prefixes(rules: Sequence[StoredRule]) -> list[str]:
    """Of which no further job may start."""
    return [rule.prefix for rule in rules if rule.closed]


def open_sub_queues(
    kinds: Iterable[str],
    rules: Sequence[StoredRule],
    closed: Sequence[str],
    of_buckets: Mapping[str, str],
    away: Collection[str],
) -> list[str]:
    """Where jobs of these kinds wait that may start.

    Args:
        of_buckets: sub-queues of buckets that exist, of these kinds, by the jobs that they are for.
        away: of these jobs those that are skipped.
    """
    if EVERYTHING in closed:
        return []
    ruled = [rule.id for rule in rules if rule.prefix and not rule.prefix.startswith(tuple(closed))]
    numbers = [None, *ruled, FORWARD] if rules or of_buckets else [None]
    by_kind = [sub_queue(kind, number) for kind in kinds for number in numbers]
    return by_kind + [name for jobs, name in of_buckets.items() if jobs not in away]
