"""Every statement that changes the state of a job.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Sequence

from orchestrator.database.sql import Connection
from orchestrator.jobs.models import UNFINISHED

FORGET_ERROR = "error_code = null, error_message = null, error_details = null"


async def lock(connection: Connection, ids: Sequence[int]) -> None:
    """Let nobody else write these jobs until the transaction ends; all lock in one order, so none waits for ever."""
    await connection.execute(
        "select from transcriptions where id = any(%s) order by id for no key update", (list(ids),)
    )


async def reopen(connection: Connection, ids: Sequence[int], priority: int | None = None) -> list[int]:
    """Make failed and cancelled jobs ``queued`` again, where they stopped; the ids of those that were."""
    await lock(connection, ids)
    cursor = await connection.execute(
        f"""
        update transcriptions set state = 'queued', failures = 0, priority = coalesce(%s, priority),
            finished_at = null, {FORGET_ERROR}
        where id = any(%s) and state in ('failed', 'cancelled') and not superseded
        returning id
        """,
        (priority, list(ids)),
    )
    return [row[0] for row in await cursor.fetchall()]


async def prioritize(connection: Connection, ids: Sequence[int], priority: int) -> None:
    """Give unfinished jobs this priority, in the queue too."""
    await lock(connection, ids)
    cursor = await connection.execute(
        """
        update transcriptions set priority = %(priority)s
        where id = any(%(ids)s) and state = any(%(unfinished)s) and priority <> %(priority)s
        returning queue_job
        """,
        {"priority": priority, "ids": list(ids), "unfinished": list(UNFINISHED)},
    )
    queue_jobs = [row[0] for row in await cursor.fetchall()]
    await connection.execute("update procrastinate_jobs set priority = %s where id = any(%s)", (priority, queue_jobs))


async def cancel(connection: Connection, ids: Sequence[int]) -> dict[int, int | None]:
    """Make unfinished jobs ``cancelled`` and close them to their running attempt; their ids and queue jobs."""
    await lock(connection, ids)
    cursor = await connection.execute(
        f"""
        update transcriptions set state = 'cancelled', attempt = attempt + 1, finished_at = now(), {FORGET_ERROR}
        where id = any(%s) and state = any(%s)
        returning id, queue_job
        """,
        (list(ids), list(UNFINISHED)),
    )
    return dict(await cursor.fetchall())
