"""What stalled workers leave in the queue.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from orchestrator.database.sql import Connection, fetch_all, fetch_column, fetch_one
from orchestrator.jobs.models import UNFINISHED

_LEFT = "entry.status = 'doing' and entry.worker_id is null"
"""The worker is gone: when its row is removed (:func:`prune_workers`, procrastinate), its number goes from here too."""


class Left(NamedTuple):
    """A job that no worker works on any more, locked; ``failures`` include this one."""

    queue_job: int | None
    failures: int


async def heartbeats(connection: Connection) -> dict[int, datetime]:
    """The last heartbeat of each worker."""
    return dict(await fetch_all(connection, "select id, last_heartbeat from procrastinate_workers"))


async def prune_workers(connection: Connection, stalled: Mapping[int, datetime]) -> None:
    """Remove workers whose last heartbeat is still this one. If one comes back, it is refused the next job, and starts
    again.
    """
    await connection.execute(
        """
        delete from procrastinate_workers w
        using unnest(%s::bigint[], %s::timestamptz[]) as stalled (id, heartbeat)
        where w.id = stalled.id and w.last_heartbeat = stalled.heartbeat
        """,
        (list(stalled), list(stalled.values())),
    )


async def drop_ended(connection: Connection) -> None:
    """Remove rows that workers left for jobs which have ended, or are another row's by now."""
    await connection.execute(
        f"""
        delete from procrastinate_jobs entry where {_LEFT} and not exists (
            select from jobs j
            where j.id = (entry.args->>'job')::bigint and j.queue_job = entry.id and j.state = any(%s)
        )
        """,
        (list(UNFINISHED),),
    )


async def suspects(connection: Connection) -> list[int]:
    """Jobs that a worker may have left."""
    return await fetch_column(
        connection,
        f"""
        select (entry.args->>'job')::bigint from procrastinate_jobs entry where {_LEFT}
        union
        select j.id from jobs j where j.state in ('running', 'waiting')
            and not exists (select from procrastinate_jobs entry where entry.id = j.queue_job)
        """,
    )


async def take_from(connection: Connection, id: int) -> Left | None:
    """Take a job from the worker that left it: lock it and remove its row; None if another process was faster."""
    row = await fetch_one(
        connection,
        f"""
        select j.queue_job, j.failures + 1 from jobs j
        where j.id = %s and j.state = any(%s) and not exists (
            select from procrastinate_jobs entry where entry.id = j.queue_job and not ({_LEFT})
        ) for update of j skip locked
        """,
        (id, list(UNFINISHED)),
    )
    if row is None:
        return None
    left = Left(*row)
    await connection.execute("delete from procrastinate_jobs where id = %s", (left.queue_job,))
    return left
