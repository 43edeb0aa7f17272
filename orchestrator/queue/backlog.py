"""Makes way where jobs that are held up stand before others: in small steps, while workers go on taking jobs."""

from typing import NamedTuple

from orchestrator.database.pool import Pool
from orchestrator.database.sql import Connection
from orchestrator.queue import order, rules
from orchestrator.queue.order import DUE, FORWARD, LANE, ORDER, SAVEPATH

PASSED_AT_ONCE = 10_000
MOVED_AT_ONCE = 1000
ENOUGH_FORWARD = 1000
ADVISORY_LOCK = 0x6C61_6E65
"""Held for each step: several workers would only be in each other's way."""


class _Place(NamedTuple):
    """Where a job stands in its lane."""

    priority: int
    transcription: int


_START = _Place(2**31 - 1, 0)


async def sort(pool: Pool) -> None:
    """Go on until each open lane begins with a job that may start.

    What may start is looked for first, for that is read and not written: it is brought forward, some at a time. Then
    those of a rule are moved into its lane.
    """
    passed: dict[str, _Place] = {}
    while True:
        async with pool.connection() as connection:
            if not await _step(connection, passed):
                return


async def _step(connection: Connection, passed: dict[str, _Place]) -> bool:
    """Whether it has done something, so that there may be more to do."""
    kept = await rules.all_rules(connection)
    if not (closed := rules.closed_prefixes(kept)):
        return False
    locked = await connection.execute("select pg_try_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
    if await locked.fetchone() != (True,):
        return False
    lane = await _held_up(connection, rules.open_lanes(kept, closed), closed)
    if lane is None:
        return False
    if lane != FORWARD and await _few_forward(connection):
        place, brought = await _bring_forward(connection, lane, closed, passed.get(lane, _START))
        if brought:
            await order.wake(connection)
        if place:
            passed[lane] = place
            return True
    return await _move_aside(connection, lane) > 0


async def _held_up(connection: Connection, lanes: list[str], closed: list[str]) -> str | None:
    """A lane whose first job may not start."""
    cursor = await connection.execute(
        f"""
        select lane.name from unnest(%s::text[]) as lane (name) cross join lateral (
            select {SAVEPATH} as savepath from procrastinate_jobs j where queue_name = lane.name and {DUE}
            order by {ORDER} limit 1
        ) first
        where first.savepath ^@ any(%s::text[]) limit 1
        """,
        (lanes, closed),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def _few_forward(connection: Connection) -> bool:
    cursor = await connection.execute(
        "select from procrastinate_jobs where queue_name = %s and status = 'todo' limit %s", (FORWARD, ENOUGH_FORWARD)
    )
    return len(await cursor.fetchall()) < ENOUGH_FORWARD


async def _bring_forward(
    connection: Connection, lane: str, closed: list[str], after: _Place
) -> tuple[_Place | None, int]:
    """Look at the next jobs of a lane: the place of the last, if there was one, and how many were brought forward."""
    cursor = await connection.execute(
        f"""
        with ahead as materialized (
            select j.*, {SAVEPATH} as savepath from (
                (
                    select id, priority, args, (args->>'transcription')::bigint as transcription
                    from procrastinate_jobs
                    where queue_name = %(lane)s and {DUE}
                        and priority = %(priority)s and (args->>'transcription')::bigint > %(transcription)s
                    order by {ORDER} limit %(most)s
                ) union all (
                    select id, priority, args, (args->>'transcription')::bigint
                    from procrastinate_jobs where queue_name = %(lane)s and {DUE} and priority < %(priority)s
                    order by {ORDER} limit %(most)s
                ) order by priority desc, transcription limit %(most)s
            ) j
        ), free as (
            select id from procrastinate_jobs where id in (
                select id from ahead where not coalesce(savepath ^@ any(%(closed)s::text[]), false)
            ) for update skip locked
        ), brought as (
            update procrastinate_jobs set queue_name = %(forward)s where id in (select id from free) returning id
        )
        select priority, transcription, (select count(*) from brought) from ahead
        order by priority, transcription desc limit 1
        """,
        {**after._asdict(), "lane": lane, "closed": closed, "forward": FORWARD, "most": PASSED_AT_ONCE},
    )
    row = await cursor.fetchone()
    return (_Place(row[0], row[1]), row[2]) if row else (None, 0)


async def _move_aside(connection: Connection, lane: str) -> int:
    """Move those of a rule that are among the first of a lane where they belong; how many there were."""
    cursor = await connection.execute(
        f"""
        with first as materialized (
            select id, {SAVEPATH} as savepath from procrastinate_jobs j where queue_name = %(lane)s and {DUE}
            order by {ORDER} limit %(most)s for update skip locked
        ), placed as (
            select id, {order.lane_of("savepath")} as lane from first
        )
        update procrastinate_jobs j set queue_name = placed.lane from placed
        where j.id = placed.id and placed.lane <> all(%(right)s::text[])
        """,
        {"lane": lane, "most": MOVED_AT_ONCE, "right": [lane, LANE]},
    )
    return cursor.rowcount
