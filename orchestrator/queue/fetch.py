"""Which job is taken next: by priority, then in the order of submission, skipping what a pause or a limit blocks, and
what is in buckets that this worker cannot have read now.
"""

import asyncio
from collections.abc import Collection, Iterable
from functools import cache
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.rows import dict_row

from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.pool import Pool, single_statements
from orchestrator.database.sql import Connection
from orchestrator.jobs import transitions
from orchestrator.jobs.attempts import Attempt
from orchestrator.jobs.transitions import beginning
from orchestrator.queue.bucket_queues import BUCKET_JOBS, bucket_queues
from orchestrator.queue.order import DUE, ORDER, sub_queue
from orchestrator.queue.rules import all_rules, closed_prefixes, open_sub_queues

MOST_SKIPPED = 5000
"""So many blocked jobs are skipped to find one that may start, which takes some 5 ms."""


_ENTRY = ", ".join(
    f"entry.{column}"
    for column in (
        *("id", "queue_name", "task_name", "priority", "lock", "queueing_lock", "args", "status", "scheduled_at"),
        *("attempts", "abort_requested", "worker_id"),
    )
)
"""What procrastinate reads of an entry. Not all columns: while a worker runs, a newer version may add one to the table,
and PostgreSQL refuses a prepared statement that then returns more."""


_DIVIDED = "(exists (select from queue_rules) or exists (select from bucket_queues))"
"""SQL: whether jobs of a kind may wait in more than one sub-queue."""

MAY_START = f"""
    not coalesce(savepath ^@ any(%(closed)s::text[]), false)
    and not coalesce({BUCKET_JOBS} = any(%(away)s::text[]), false)
"""
"""SQL, of a row of the queue: whether neither a rule blocks it, nor is its bucket skipped."""


class Taken(NamedTuple):
    """An entry of the queue, now ``doing`` at a worker, and the attempt at its job, if that could begin."""

    entry: dict[str, Any]
    attempt: Attempt | None


def _first(sub_queues: str, free: str, most: int, condition: str = "") -> str:
    """SQL: take the first entry of several sub-queues that is free, of the first few of each, and begin its job.

    Its row is there even if there is no entry.
    """
    # Not after a wait for the job: whoever changes that may wait for the entry.
    return f"""
        with first as (
            select j.id from unnest({sub_queues}) as sub_queue (name) cross join lateral (
                select * from (
                    select id, priority, args, savepath, task_name, bucket from procrastinate_jobs
                    where queue_name = sub_queue.name and {DUE}
                    order by {ORDER} limit {most} for update skip locked
                ) next
                where {free} limit 1
            ) j
            {condition} order by {ORDER} limit 1
        ), taken as (
            update procrastinate_jobs entry set status = 'doing', worker_id = %(worker)s
            from first where entry.id = first.id returning {_ENTRY}
        ), begun as (
            {beginning("(select (args->>'job')::bigint from taken)", "(select id from taken)", waits=False)}
        )
        select {_DIVIDED} as divided, taken.*, to_jsonb(begun) as begun
        from (values (true)) as always left join taken on true left join begun on true
    """


@cache
def _take_undivided(*kinds: str) -> str:
    """Takes from the sub-queues of these kinds, unless there are others. With their names, PostgreSQL plans it once: in
    place of a parameter it expects many, which each time makes a plan for the ones that are given look cheaper.
    """
    names = sql.Literal([sub_queue(kind) for kind in kinds]).as_string()
    return _first(f"{names}::text[]", "true", 1, f"where not {_DIVIDED}")


_TAKE = _first("%(sub_queues)s::text[]", MAY_START, MOST_SKIPPED)


async def take(
    pool: Pool,
    worker: int,
    kinds: Iterable[str],
    blocked: asyncio.Event | None = None,
    away: Collection[str] = (),
) -> Taken | None:
    """Take the next job of these kinds for this worker, and begin it; None if there is none that may start.

    Args:
        blocked: set if there is none, but one may be behind those that are skipped.
        away: jobs of buckets that are skipped, wherever they wait: names that
            :func:`orchestrator.queue.bucket_queues.bucket_jobs` makes.

    Raises:
        psycopg.errors.ForeignKeyViolation: the worker has been considered stalled, and removed.
    """
    kinds = list(kinds)
    if not away:
        async with single_statements(pool) as connection:
            row = await _execute(connection, _take_undivided(*kinds), {"worker": worker})
            if not row["divided"]:
                return await _taken(connection, row)
    async with pool.connection() as connection:
        await connection.execute("select pg_advisory_xact_lock(%s)", (AdvisoryLock.SCHEDULING,))
        rules = await all_rules(connection)
        closed = closed_prefixes(rules)
        sub_queues = open_sub_queues(kinds, rules, closed, await bucket_queues(connection, kinds), away)
        wanted = {"worker": worker, "sub_queues": sub_queues, "closed": closed, "away": list(away)}
        row = await _execute(connection, _TAKE, wanted)
        if row["id"] is None and (closed or away) and kinds and blocked:
            blocked.set()
        return await _taken(connection, row)


async def _execute(connection: Connection, statement: str, wanted: dict[str, Any]) -> dict[str, Any]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, wanted)
        row = await cursor.fetchone()
    assert row
    return row


async def _taken(connection: Connection, row: dict[str, Any]) -> Taken | None:
    attempt, _ = row.pop("begun"), row.pop("divided")
    if row["id"] is None:
        return None
    return Taken(row, await transitions.begun(connection, attempt) if attempt else None)
