"""Which job is taken next: by priority, then in the order of submission, skipping what a pause or a limit blocks."""

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

from psycopg.rows import dict_row

from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.pool import Pool
from orchestrator.jobs import transitions
from orchestrator.jobs.attempts import Attempt
from orchestrator.queue.order import DUE, ORDER, sub_queue
from orchestrator.queue.rules import all_rules, closed_prefixes, has_rules, open_sub_queues

MOST_SKIPPED = 5000
"""So many blocked jobs are skipped to find one that may start, which takes some 5 ms."""


class Taken(NamedTuple):
    """An entry of the queue, now ``doing`` at a worker, and the attempt at its job, if that could begin."""

    entry: dict[str, Any]
    attempt: Attempt | None


def _first(free: str, most: int, condition: str = "") -> str:
    """SQL: take the first entry of several sub-queues that is free, of the first few of each."""
    return f"""
        with first as (
            select j.id from unnest(%(sub_queues)s::text[]) as sub_queue (name) cross join lateral (
                select * from (
                    select id, priority, args, savepath from procrastinate_jobs
                    where queue_name = sub_queue.name and {DUE}
                    order by {ORDER} limit {most} for update skip locked
                ) next
                where {free} limit 1
            ) j
            {condition} order by {ORDER} limit 1
        )
        update procrastinate_jobs entry set status = 'doing', worker_id = %(worker)s
        from first where entry.id = first.id returning entry.*
    """


_TAKE_UNRULED = _first("true", 1, "where not exists (select from queue_rules)")
_TAKE = _first("not coalesce(savepath ^@ any(%(closed)s::text[]), false)", MOST_SKIPPED)


async def take(
    pool: Pool, worker: int, kinds: Iterable[str], blocked: asyncio.Event | None = None
) -> Taken | None:
    """Take the next job of these kinds for this worker, and begin it; None if there is none that may start.

    Args:
        blocked: set if there is none, but one may be behind those that rules block.

    Raises:
        psycopg.errors.ForeignKeyViolation: the worker has been considered stalled, and removed.
    """
    async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        wanted: dict[str, Any] = {"worker": worker, "sub_queues": [sub_queue(kind) for kind in kinds]}
        await cursor.execute(_TAKE_UNRULED, wanted)
        entry = await cursor.fetchone()
        if entry is None and await has_rules(connection):
            await connection.execute("select pg_advisory_xact_lock(%s)", (AdvisoryLock.SCHEDULING,))
            rules = await all_rules(connection)
            closed = closed_prefixes(rules)
            wanted |= {"sub_queues": open_sub_queues(kinds, rules, closed), "closed": closed}
            await cursor.execute(_TAKE, wanted)
            entry = await cursor.fetchone()
            if entry is None and closed and blocked:
                blocked.set()
        if entry is None:
            return None
        # Not after a wait for the job: whoever changes that may wait for the entry.
        return Taken(entry, await transitions.begin(connection, entry["id"], entry["args"]["job"], waits=False))
