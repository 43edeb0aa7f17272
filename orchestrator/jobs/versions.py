"""Versions of transcripts: the SQL that makes them, replaces them, and removes those that are out of date.

Of each object and each set of options there is one current transcription. One that is superseded stays what ``show``,
``search`` and ``export`` find, until the one that takes its place is done; then it is history, until it is pruned.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from psycopg.types.json import Jsonb

from orchestrator.database.sql import Connection
from orchestrator.jobs.models import UNFINISHED, Identity, Options, State
from orchestrator.jobs.transitions import lock


class Current(NamedTuple):
    """The current transcription of a savepath; ``identity`` of the object that it heard or hears, if it is known."""

    id: int
    state: State
    identity: Identity


async def current(
    connection: Connection, bucket: str, savepaths: Sequence[str], options: Options
) -> dict[str, Current]:
    """Those of these savepaths that have a transcription with these options."""
    cursor = await connection.execute(
        """
        select m.savepath, t.id, t.state, heard.etag, heard.size, heard.last_modified
        from unnest(%(savepaths)s::text[]) as wanted (savepath)
        join media m on m.bucket = %(bucket)s and m.savepath = wanted.savepath
        join transcriptions t on t.media_id = m.id and t.options_key = md5(%(options)s::jsonb::text)
            and not t.superseded
        left join lateral (
            select a.etag, a.size, a.last_modified from attempts a
            where a.transcription_id = t.id and a.etag is not null order by a.attempt desc limit 1
        ) heard on t.state not in ('failed', 'cancelled')
        """,
        {"bucket": bucket, "savepaths": list(savepaths), "options": Jsonb(options.chosen())},
    )
    return {row[0]: Current(row[1], row[2], Identity(*row[3:])) for row in await cursor.fetchall()}


async def newest_id(connection: Connection) -> int:
    """Transcriptions made from now on have a higher id."""
    cursor = await connection.execute("select coalesce(max(id), 0) from transcriptions")
    row = await cursor.fetchone()
    assert row
    return int(row[0])


async def add(
    connection: Connection, bucket: str, savepaths: Sequence[str], options: Options, priority: int
) -> list[int]:
    """Record wishes that do not exist yet; the ids of those that were new."""
    ordered = sorted(set(savepaths))  # two submissions lock in one order, so neither waits for the other for ever
    await connection.execute(
        "insert into media (bucket, savepath) select %s, unnest(%s::text[]) on conflict do nothing", (bucket, ordered)
    )
    cursor = await connection.execute(
        """
        insert into transcriptions (media_id, options, priority)
        select m.id, %s, %s from unnest(%s::text[]) as wanted (savepath)
        join media m on m.bucket = %s and m.savepath = wanted.savepath order by m.id
        on conflict (media_id, options_key) where not superseded do nothing
        returning id
        """,
        (Jsonb(options.chosen()), priority, ordered, bucket),
    )
    return [row[0] for row in await cursor.fetchall()]


async def supersede(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Make room for new versions of these; the queue jobs of those that were not finished, now cancelled."""
    # In one statement with the update, a job that somebody else is just writing would be seen in two states.
    await lock(connection, ids)
    cursor = await connection.execute(
        """
        select id, case when state = any(%s) then queue_job end from transcriptions
        where id = any(%s) and not superseded
        """,
        (list(UNFINISHED), list(ids)),
    )
    queue_jobs = dict(await cursor.fetchall())
    await connection.execute(
        """
        update transcriptions set
            superseded = true,
            superseded_at = now(),
            attempt = attempt + 1,
            state = case when state = any(%s) then 'cancelled' else state end,
            finished_at = coalesce(finished_at, now())
        where id = any(%s)
        """,
        (list(UNFINISHED), list(queue_jobs)),
    )
    return [queue_job for queue_job in queue_jobs.values() if queue_job is not None]


REPLACED = """
    exists (
        select from transcriptions n
        where n.media_id = t.media_id and n.options_key = t.options_key and n.state = 'done' and n.id > t.id
    )
"""
"""Whether a newer version of a transcription ``t`` is done."""

_PRUNABLE = f"""
    from transcriptions t
    where t.superseded and t.id > %(after)s and t.superseded_at <= now() - %(age)s::interval
        and (t.state <> 'done' or {REPLACED})
"""


class Prunable(NamedTuple):
    """What ``prune`` may remove: versions that are out of date and whose successor is done."""

    versions: int
    savepaths: int


async def prunable(connection: Connection, age: timedelta) -> Prunable:
    """How much has been out of date for so long."""
    cursor = await connection.execute(
        f"""
        select count(*), count(distinct t.media_id) {_PRUNABLE}
        """,
        {"age": age, "after": 0},
    )
    row = await cursor.fetchone()
    assert row
    return Prunable(*row)


async def prune(connection: Connection, age: timedelta, after: int, limit: int) -> list[int]:
    """Remove some of it, with segments and receipts; the ids, in order. ``after`` is the last id of the time before."""
    cursor = await connection.execute(
        f"""
        with gone as (
            delete from transcriptions d using (
                select t.id {_PRUNABLE} order by t.id limit %(limit)s for update of t skip locked
            ) old where d.id = old.id returning d.id
        ) select id from gone order by id
        """,
        {"age": age, "after": after, "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]
