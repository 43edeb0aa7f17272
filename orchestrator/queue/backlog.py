"""Sorts the backlog where skipped jobs are in front of others: in small steps, while workers continue to take jobs."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.pool import Pool
from orchestrator.database.sql import Connection, fetch_all, fetch_value
from orchestrator.queue.bucket_queues import BUCKET_JOBS, SUB_QUEUE, bucket_queues, make, remove_empty
from orchestrator.queue.fetch import MAY_START
from orchestrator.queue.order import DUE, FORWARD, ORDER, sub_queue, sub_queue_of, wake
from orchestrator.queue.rules import all_rules, closed_prefixes, open_sub_queues

MOST_MOVED = 1000
ENOUGH_FORWARD = 1000
MOVING_SECONDS = 0.5
"""How long jobs are moved before it is looked again for what may start, if no worker misses a job earlier."""


async def sort(
    pool: Pool, kinds: Sequence[str], blocked: asyncio.Event, away: Callable[[], Collection[str]] = tuple
) -> None:
    """Continue until each open sub-queue of these kinds begins with a job that may start.

    What may start is looked for first, in all of a sub-queue: some of it is brought forward. Then the jobs of a rule,
    or of a bucket that is away, are moved into its sub-queue, for at least as long as looking took, before it is looked
    again.

    Args:
        blocked: is set when a worker finds no job, and one may be behind those that are skipped.
        away: jobs of buckets that are skipped now.
    """
    while True:
        blocked.clear()
        began = time.monotonic()
        async with pool.connection() as connection:
            sub_queue = await _bring_forward(connection, kinds, away())
        if sub_queue is None:
            return
        moving = time.monotonic()
        looking = moving - began
        while (moved := time.monotonic() - moving) < MOVING_SECONDS or moved < looking:
            if blocked.is_set() and moved > looking:
                break
            async with pool.connection() as connection:
                if not await _lock(connection) or not await _move_aside(connection, sub_queue, away()):
                    return


async def _bring_forward(connection: Connection, kinds: Sequence[str], away: Collection[str]) -> str | None:
    """Bring jobs forward that are behind blocked ones. The sub-queue whose first job may not start; None if there is
    none, or another process sorts. Sub-queues of buckets that are of no use any more are removed.
    """
    rules, of_buckets = await all_rules(connection), await bucket_queues(connection, kinds)
    skipped = {"closed": closed_prefixes(rules), "away": list(away)}
    if not (any(skipped.values()) or of_buckets) or not await _lock(connection):
        return None
    blocked = await _blocked(connection, open_sub_queues(kinds, rules, skipped["closed"], of_buckets, away), skipped)
    if blocked is None:
        await remove_empty(connection, kinds, away)
        return None
    await make(connection, away)
    forward = sub_queue(blocked.partition("/")[0], FORWARD)
    if blocked != forward and await _few_forward(connection, forward, skipped):
        cursor = await connection.execute(
            f"""
            update procrastinate_jobs set queue_name = %(forward)s where id in (
                select id from procrastinate_jobs
                where queue_name = %(blocked)s and {DUE} and {MAY_START}
                order by {ORDER} limit %(enough)s for update skip locked
            )
            """,
            {"forward": forward, "blocked": blocked, "enough": ENOUGH_FORWARD, **skipped},
        )
        if cursor.rowcount:
            await wake(connection)
    return blocked


async def _lock(connection: Connection) -> bool:
    return bool(await fetch_value(connection, "select pg_try_advisory_xact_lock(%s)", (AdvisoryLock.BACKLOG,)))


async def _blocked(connection: Connection, sub_queues: list[str], skipped: dict[str, list[str]]) -> str | None:
    """A sub-queue whose first job may not start."""
    name: str | None = await fetch_value(
        connection,
        f"""
        select sub_queue.name from unnest(%(sub_queues)s::text[]) as sub_queue (name) cross join lateral (
            select savepath, task_name, bucket from procrastinate_jobs
            where queue_name = sub_queue.name and {DUE}
            order by {ORDER} limit 1
        ) first
        where not ({MAY_START}) limit 1
        """,
        {"sub_queues": sub_queues, **skipped},
    )
    return name


async def _few_forward(connection: Connection, forward: str, skipped: dict[str, list[str]]) -> bool:
    rows = await fetch_all(
        connection,
        f"""
        select from procrastinate_jobs
        where queue_name = %(forward)s and status = 'todo' and {MAY_START} limit %(enough)s
        """,
        {"forward": forward, "enough": ENOUGH_FORWARD, **skipped},
    )
    return len(rows) < ENOUGH_FORWARD


async def _move_aside(connection: Connection, blocked: str, away: Collection[str]) -> int:
    """Move the first jobs of a sub-queue that belong into that of a rule, or of a bucket that is away; how many there
    were.
    """
    await make(connection, away)
    cursor = await connection.execute(
        f"""
        with first as materialized (
            select id, task_name, savepath, bucket from procrastinate_jobs
            where queue_name = %(sub_queue)s and {DUE}
            order by {ORDER} limit %(most)s for update skip locked
        ), placed as (
            select id, case when {BUCKET_JOBS} = any(%(away)s::text[])
                then (select {SUB_QUEUE} from bucket_queues q where (q.kind, q.bucket) = (task_name, first.bucket))
                else {sub_queue_of("task_name", "savepath")} end as sub_queue
            from first
        )
        update procrastinate_jobs j set queue_name = placed.sub_queue from placed
        where j.id = placed.id and placed.sub_queue <> all(%(right)s::text[])
        """,
        {
            "sub_queue": blocked,
            "most": MOST_MOVED,
            "right": [blocked, blocked.partition("/")[0]],
            "away": list(away),
        },
    )
    return cursor.rowcount
