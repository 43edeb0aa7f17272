"""Which job is taken next."""

from typing import Any

from psycopg.rows import dict_row

from orchestrator.database.pool import Pool
from orchestrator.queue.order import DUE, ORDER, SAVEPATH
from orchestrator.queue.rules import all_rules, closed_prefixes, open_lanes

PASSED_AT_ONCE = 5000
"""So many that are held up are looked past to find a job, which takes some 30 ms."""

ADVISORY_LOCK = 0x7475_726E
"""Held while a turn is given under rules: two workers that count at once would both find room for one more."""


async def take(pool: Pool, worker: int) -> dict[str, Any] | None:
    """The next job, now ``doing`` at this worker; None if there is none that may start.

    Raises:
        psycopg.errors.ForeignKeyViolation: the worker has been taken for dead.
    """
    async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        kept = await all_rules(connection)
        if kept:
            await connection.execute("select pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
            kept = await all_rules(connection)
        closed = closed_prefixes(kept)
        lanes = open_lanes(kept, closed)
        await cursor.execute(_FIRST, {"lanes": lanes, "closed": closed, "most": PASSED_AT_ONCE})
        first = await cursor.fetchone()
        if first is None:
            return None
        await cursor.execute(
            "update procrastinate_jobs set status = 'doing', worker_id = %s where id = %s returning *",
            (worker, first["id"]),
        )
        return await cursor.fetchone()


_FIRST = f"""
    select j.id from unnest(%(lanes)s::text[]) as lane (name) cross join lateral (
        select * from (
            select id, priority, args, {SAVEPATH} as savepath from procrastinate_jobs j
            where queue_name = lane.name and {DUE}
            order by {ORDER} limit %(most)s for update skip locked
        ) ahead
        where not coalesce(savepath ^@ any(%(closed)s::text[]), false) limit 1
    ) j
    order by {ORDER} limit 1
"""
