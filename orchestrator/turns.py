"""Whose turn it is: by priority, then in the order of submission, past what is paused or has enough running.

A rule is a row, so all workers keep it from the same moment on. It holds up no job but its own: those stand in a lane
of their own (``queue_name``), which is passed over while it is closed. A job is moved there when it comes to the front
of another lane, so that neither a submission nor a new rule has to touch a million rows.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from psycopg.rows import class_row, dict_row

from orchestrator.database import Pool
from orchestrator.jobs import Record
from orchestrator.store import Connection

LANE = "transcriptions"
"""Of all jobs under no rule; those of a rule have its id after a slash."""

EVERYTHING = ""
MOVED_AT_ONCE = 1000
ADVISORY_LOCK = 0x7475_726E
"""Held while a turn is given under rules: two workers that count at once would both find room for one more."""

_SAVEPATH = """
    (
        select m.savepath from transcriptions t join media m on m.id = t.media_id
        where t.id = (j.args->>'transcription')::bigint
    )
"""
_RULES = f"""
    select r.id, r.prefix, r.max_running, r.paused_at, r.paused_by, (
        select count(*) from procrastinate_jobs j
        where j.status = 'doing' and j.worker_id is not null and starts_with({_SAVEPATH}, r.prefix)
    ) as running
    from queue_rules r
"""


class Rule(Record):
    """What holds for savepaths that start with ``prefix``; the empty one is every savepath.

    Attributes:
        max_running: jobs at once, of all workers together.
        paused_by: user and host.
        running: how many jobs there are at work.
    """

    id: int
    prefix: str
    max_running: int | None
    paused_at: datetime | None
    paused_by: str | None
    running: int

    @property
    def closed(self) -> bool:
        """Whether no further job may start."""
        return self.paused_at is not None or (self.max_running is not None and self.running >= self.max_running)


async def rules(connection: Connection) -> list[Rule]:
    """Those that say something."""
    async with connection.cursor(row_factory=class_row(Rule)) as cursor:
        await cursor.execute(f"{_RULES} where max_running is not null or paused_at is not null order by prefix")
        return await cursor.fetchall()


async def pause(connection: Connection, prefix: str, by: str) -> None:
    """Start no more jobs of a prefix; those that run go on. A pause that is there already stays as it is."""
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


async def limit(connection: Connection, prefix: str, max_running: int | None) -> None:
    """Let at most so many jobs of a prefix run at once, on all workers together; None takes the limit away."""
    await connection.execute(
        """
        insert into queue_rules (prefix, max_running) values (%s, %s)
        on conflict (prefix) do update set max_running = excluded.max_running
        """,
        (prefix, max_running),
    )
    await wake(connection)


async def wake(connection: Connection) -> None:
    """Let idle workers look for a job now."""
    await connection.execute(WAKE)


WAKE = """
    select pg_notify('procrastinate_any_queue_v1', json_build_object('type', 'job_inserted', 'job_id', 0)::text)
"""


async def take(pool: Pool, worker: int) -> dict[str, Any] | None:
    """The next job, now ``doing`` at this worker; None if there is none that may start.

    Raises:
        psycopg.errors.ForeignKeyViolation: the worker has been taken for dead.
    """
    while True:
        async with pool.connection() as connection:
            taken = await _take(connection, worker)
        if taken != "moved":
            return taken


async def _take(connection: Connection, worker: int) -> dict[str, Any] | Literal["moved"] | None:
    kept = await _all_rules(connection)
    if kept:
        await connection.execute("select pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        kept = await _all_rules(connection)
    closed = [rule.prefix for rule in kept if rule.closed]
    if EVERYTHING in closed:
        return None
    lanes = {rule.prefix: f"{LANE}/{rule.id}" for rule in kept if rule.prefix} | {EVERYTHING: LANE}
    open_lanes = [lane for prefix, lane in lanes.items() if not prefix.startswith(tuple(closed))]
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_FIRST, {"lanes": open_lanes})
        first = await cursor.fetchone()
        if first is None:
            return None
        if kept and first["queue_name"] != _lane_of(first["savepath"] or "", lanes):
            await _sort(connection, first["queue_name"], lanes)
            return "moved"
        await cursor.execute(
            "update procrastinate_jobs set status = 'doing', worker_id = %s where id = %s returning *",
            (worker, first["id"]),
        )
        return await cursor.fetchone()


_FIRST = f"""
    select j.*, {_SAVEPATH} as savepath
    from unnest(%(lanes)s::text[]) as lane (name) cross join lateral (
        select id, queue_name, priority, args from procrastinate_jobs
        where queue_name = lane.name and status = 'todo' and (scheduled_at is null or scheduled_at <= now())
        order by priority desc, (args->>'transcription')::bigint limit 1 for update skip locked
    ) j
    order by j.priority desc, (j.args->>'transcription')::bigint limit 1
"""


async def _all_rules(connection: Connection) -> list[Rule]:
    async with connection.cursor(row_factory=class_row(Rule)) as cursor:
        await cursor.execute(_RULES)
        return await cursor.fetchall()


def _lane_of(savepath: str, lanes: dict[str, str]) -> str:
    return lanes[max((prefix for prefix in lanes if savepath.startswith(prefix)), key=len)]


async def _sort(connection: Connection, lane: str, lanes: dict[str, str]) -> None:
    """Move those of the first jobs of a lane that belong elsewhere."""
    cursor = await connection.execute(
        f"""
        select j.id, {_SAVEPATH} from (
            select id, args from procrastinate_jobs
            where queue_name = %s and status = 'todo' and (scheduled_at is null or scheduled_at <= now())
            order by priority desc, (args->>'transcription')::bigint limit %s for update skip locked
        ) j
        """,
        (lane, MOVED_AT_ONCE),
    )
    rows: Sequence[tuple[int, str | None]] = await cursor.fetchall()
    placed = [(id, _lane_of(savepath or "", lanes)) for id, savepath in rows]
    moved = [(id, right) for id, right in placed if right != lane]
    await connection.execute(
        """
        update procrastinate_jobs j set queue_name = moved.lane
        from unnest(%s::bigint[], %s::text[]) as moved (id, lane) where j.id = moved.id
        """,
        ([id for id, _ in moved], [right for _, right in moved]),
    )
