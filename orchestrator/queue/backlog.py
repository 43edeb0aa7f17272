"""Sorts the backlog where blocked jobs are in front of others: in small steps, while workers continue to take jobs."""

from collections.abc import Collection
from typing import NamedTuple

from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.pool import Pool
from orchestrator.database.sql import Connection, fetch_all, fetch_one, fetch_value
from orchestrator.queue.order import DUE, FORWARD, ORDER, savepath_of_row, sub_queue, sub_queue_of, wake
from orchestrator.queue.rules import all_rules, closed_prefixes, open_sub_queues

MOST_PASSED = 10_000
"""Jobs that are looked at in one step."""
MOST_MOVED = 1000
ENOUGH_FORWARD = 1000


class _Position(NamedTuple):
    """Of a job in its sub-queue."""

    priority: int
    job: int


_START = _Position(2**31 - 1, 0)


async def sort(pool: Pool, kinds: Collection[str]) -> None:
    """Continue until each open sub-queue of these kinds begins with a job that may start.

    What may start is looked for first, for that only reads: some of it is brought forward. Then the jobs of a rule are
    moved into its sub-queue.
    """
    passed: dict[str, _Position] = {}
    while True:
        async with pool.connection() as connection:
            if not await _step(connection, kinds, passed):
                return


async def _step(connection: Connection, kinds: Collection[str], passed: dict[str, _Position]) -> bool:
    """Whether it has done something, so that there may be more to do."""
    rules = await all_rules(connection)
    if not (closed := closed_prefixes(rules)):
        return False
    if not await fetch_value(connection, "select pg_try_advisory_xact_lock(%s)", (AdvisoryLock.BACKLOG,)):
        return False
    blocked = await _blocked(connection, open_sub_queues(kinds, rules, closed), closed)
    if blocked is None:
        return False
    forward = sub_queue(blocked.partition("/")[0], FORWARD)
    if blocked != forward and await _few_forward(connection, forward):
        position, brought = await _bring_forward(connection, blocked, forward, closed, passed.get(blocked, _START))
        if brought:
            await wake(connection)
        if position:
            passed[blocked] = position
            return True
    return await _move_aside(connection, blocked) > 0


async def _blocked(connection: Connection, sub_queues: list[str], closed: list[str]) -> str | None:
    """A sub-queue whose first job may not start."""
    name: str | None = await fetch_value(
        connection,
        f"""
        select sub_queue.name from unnest(%s::text[]) as sub_queue (name) cross join lateral (
            select {savepath_of_row("j")} as savepath from procrastinate_jobs j
            where queue_name = sub_queue.name and {DUE}
            order by {ORDER} limit 1
        ) first
        where first.savepath ^@ any(%s::text[]) limit 1
        """,
        (sub_queues, closed),
    )
    return name


async def _few_forward(connection: Connection, forward: str) -> bool:
    rows = await fetch_all(
        connection,
        "select from procrastinate_jobs where queue_name = %s and status = 'todo' limit %s",
        (forward, ENOUGH_FORWARD),
    )
    return len(rows) < ENOUGH_FORWARD


async def _bring_forward(
    connection: Connection, blocked: str, forward: str, closed: list[str], after: _Position
) -> tuple[_Position | None, int]:
    """Look at the next jobs: the position of the last, if there was one, and how many were brought forward."""
    row = await fetch_one(
        connection,
        f"""
        with next as materialized (
            select j.*, {savepath_of_row("j")} as savepath from (
                (
                    select id, priority, args, (args->>'job')::bigint as job
                    from procrastinate_jobs
                    where queue_name = %(sub_queue)s and {DUE}
                        and priority = %(priority)s and (args->>'job')::bigint > %(job)s
                    order by {ORDER} limit %(most)s
                ) union all (
                    select id, priority, args, (args->>'job')::bigint
                    from procrastinate_jobs where queue_name = %(sub_queue)s and {DUE} and priority < %(priority)s
                    order by {ORDER} limit %(most)s
                ) order by priority desc, job limit %(most)s
            ) j
        ), free as (
            select id from procrastinate_jobs where id in (
                select id from next where not coalesce(savepath ^@ any(%(closed)s::text[]), false)
            ) for update skip locked
        ), brought as (
            update procrastinate_jobs set queue_name = %(forward)s where id in (select id from free) returning id
        )
        select priority, job, (select count(*) from brought) from next order by priority, job desc limit 1
        """,
        {**after._asdict(), "sub_queue": blocked, "closed": closed, "forward": forward, "most": MOST_PASSED},
    )
    return (_Position(row[0], row[1]), row[2]) if row else (None, 0)


async def _move_aside(connection: Connection, blocked: str) -> int:
    """Move the first jobs of a sub-queue that belong into that of a rule; how many there were."""
    cursor = await connection.execute(
        f"""
        with first as materialized (
            select id, task_name, {savepath_of_row("j")} as savepath from procrastinate_jobs j
            where queue_name = %(sub_queue)s and {DUE}
            order by {ORDER} limit %(most)s for update skip locked
        ), placed as (
            select id, {sub_queue_of("task_name", "savepath")} as sub_queue from first
        )
        update procrastinate_jobs j set queue_name = placed.sub_queue from placed
        where j.id = placed.id and placed.sub_queue <> all(%(right)s::text[])
        """,
        {"sub_queue": blocked, "most": MOST_MOVED, "right": [blocked, blocked.partition("/")[0]]},
    )
    return cursor.rowcount
