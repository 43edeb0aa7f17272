"""Which job is taken next: by priority, then in the order of submission, skipping what a pause or a limit blocks."""

from collections.abc import Iterable
from typing import Any

from psycopg.rows import dict_row

from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.pool import Pool
from orchestrator.queue.order import DUE, ORDER, savepath_of_row
from orchestrator.queue.rules import all_rules, closed_prefixes, open_sub_queues

MOST_SKIPPED = 5000
"""So many blocked jobs are skipped to find one that may start, which takes some 30 ms."""

_FIRST = f"""
    select j.id from unnest(%(sub_queues)s::text[]) as sub_queue (name) cross join lateral (
        select * from (
            select id, priority, args, {savepath_of_row("j")} as savepath from procrastinate_jobs j
            where queue_name = sub_queue.name and {DUE}
            order by {ORDER} limit %(most)s for update skip locked
        ) next
        where not coalesce(savepath ^@ any(%(closed)s::text[]), false) limit 1
    ) j
    order by {ORDER} limit 1
"""


async def take(pool: Pool, worker: int, kinds: Iterable[str]) -> dict[str, Any] | None:
    """The next job of these kinds, now ``doing`` at this worker; None if there is none that may start.

    Raises:
        psycopg.errors.ForeignKeyViolation: the worker has been considered stalled, and removed.
    """
    async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        rules = await all_rules(connection)
        if rules:
            await connection.execute("select pg_advisory_xact_lock(%s)", (AdvisoryLock.SCHEDULING,))
            rules = await all_rules(connection)
        closed = closed_prefixes(rules)
        sub_queues = open_sub_queues(kinds, rules, closed)
        await cursor.execute(_FIRST, {"sub_queues": sub_queues, "closed": closed, "most": MOST_SKIPPED})
        first = await cursor.fetchone()
        if first is None:
            return None
        await cursor.execute(
            "update procrastinate_jobs set status = 'doing', worker_id = %s where id = %s returning *",
            (worker, first["id"]),
        )
        return await cursor.fetchone()
