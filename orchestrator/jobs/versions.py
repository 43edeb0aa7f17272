"""Versions of transcriptions: the statements that add them, find what they were made from, and remove outdated ones.

Of each object and each set of options there is one current transcription. One that is superseded stays what ``show``,
``search`` and ``export`` find until its replacement is done; then it is history, until it is pruned.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from orchestrator.database.sql import Connection, fetch_all, fetch_column, fetch_one, fetch_value, text_array
from orchestrator.jobs.models import TRANSCRIBE, Options, State
from orchestrator.jobs.object_changes import Identity

NEXT_ENTRY = "nextval('procrastinate_jobs_id_seq')"
"""SQL: the number of an entry of the queue that is about to be made."""


class Current(NamedTuple):
    """The current transcription of a savepath; ``identity`` is of the object that it is of, if known."""

    id: int
    state: State
    identity: Identity


async def current(
    connection: Connection, bucket: str, savepaths: Sequence[str], options: Options
) -> dict[str, Current]:
    """Those of these savepaths that have a transcription with these options."""
    rows = await fetch_all(
        connection,
        """
        select m.savepath, t.id, t.state, transcribed.etag, transcribed.size, transcribed.last_modified
        from unnest(%(savepaths)s::text[]) as wanted (savepath)
        join media m on m.bucket = %(bucket)s and m.savepath = wanted.savepath
        join transcriptions t on t.media_id = m.id and t.options_key = md5(%(options)s::jsonb::text)
            and not t.superseded
        left join lateral (
            select a.etag, a.size, a.last_modified from attempts a
            where a.transcription_id = t.id and a.etag is not null order by a.attempt desc limit 1
        ) transcribed on t.state not in ('failed', 'cancelled')
        """,
        {"bucket": bucket, "savepaths": list(savepaths), "options": Jsonb(options.chosen())},
    )
    return {row[0]: Current(row[1], row[2], Identity(*row[3:])) for row in rows}


async def newest_id(connection: Connection) -> int:
    """Jobs made from now on have a higher id."""
    return int(await fetch_value(connection, "select coalesce(max(id), 0) from jobs"))


async def add(
    connection: Connection,
    bucket: str,
    savepaths: Sequence[str],
    options: Options,
    priority: int | None,
    replaced: Sequence[int] = (),
) -> list[int]:
    """Record transcriptions that do not exist yet; the ids of those that were new.

    Args:
        priority: None: that of the one of these ``replaced`` jobs that each takes the place of, else 0.
    """
    wanted = {"bucket": bucket, "savepaths": _ordered(savepaths)}
    await connection.execute(
        """
        insert into media (bucket, savepath) select %(bucket)s, unnest(%(savepaths)s::text[])
        on conflict (bucket, savepath) do nothing
        """,
        wanted,
    )
    return await fetch_column(
        connection,
        f"""
        insert into jobs (kind, media_id, options, priority, queue_job)
        select %(kind)s, m.id, %(options)s, coalesce(%(priority)s::integer, old.priority, 0), {NEXT_ENTRY}
        from unnest(%(savepaths)s::text[]) as wanted (savepath)
        join media m on m.bucket = %(bucket)s and m.savepath = wanted.savepath
        left join (
            select media_id, max(priority) as priority from jobs where id = any(%(replaced)s::bigint[]) group by 1
        ) old on old.media_id = m.id
        order by m.id
        on conflict (media_id, options_key, kind) where not superseded do nothing
        returning id
        """,
        {**_values(options, priority), **wanted, "replaced": list(replaced)},
    )


FIRST = f"""
    wanted as materialized (
        select savepath, exists (
            select from media where bucket = %(bucket)s and media.savepath = wanted.savepath offset 0
        ) as recorded
        from unnest(%(savepaths)s::text[]) as wanted (savepath)
    ), first as materialized (
        select savepath, nextval('media_id_seq') as media_id, nextval('jobs_id_seq') as id, {NEXT_ENTRY} as queue_job,
            %(kind)s::text as kind, %(priority)s::integer as priority
        from wanted where not recorded order by savepath collate "C"
    ), recording as (
        insert into media (id, bucket, savepath) overriding system value
        select media_id, %(bucket)s, savepath from first
    ), made as (
        insert into jobs (id, kind, media_id, options, priority, queue_job) overriding system value
        select id, kind, media_id, %(options)s, priority, queue_job from first
    )
"""
"""SQL, as parts of a ``with``: of the recordings that are ``wanted``, record those that are not, with transcriptions of
them, which are the ``first``. Its parameters are :func:`first`. The ids come first, so that nothing that is written has
to be read again; ``offset 0`` keeps the planner from reading all of the recordings to compare them, and the order has
them all looked for before any is written.
"""


def first(bucket: str, savepaths: Sequence[str], options: Options, priority: int) -> dict[str, Any]:
    """What :data:`FIRST` needs to know."""
    return {"bucket": bucket, "savepaths": _ordered(savepaths), **_values(options, priority)}


def _ordered(savepaths: Sequence[str]) -> str:
    """As an array for PostgreSQL. Two submissions lock in one order: no deadlock."""
    return text_array(sorted(set(savepaths)))


def _values(options: Options, priority: int | None) -> dict[str, Any]:
    return {"kind": TRANSCRIBE, "options": Jsonb(options.chosen()), "priority": priority}


def replaced(transcription: str) -> str:
    """SQL: whether a newer version of a transcription, the alias of a row, is done."""
    return f"""
        exists (
            select from transcriptions newer
            where newer.media_id = {transcription}.media_id and newer.options_key = {transcription}.options_key
                and newer.state = 'done' and newer.id > {transcription}.id
        )
    """


_PRUNABLE = f"""
    from transcriptions t
    where t.superseded and t.id > %(after)s and t.superseded_at <= now() - %(age)s::interval
        and (t.state <> 'done' or {replaced("t")})
"""


class Prunable(NamedTuple):
    """What ``prune`` may remove: versions that are outdated and whose replacement is done."""

    versions: int
    savepaths: int


async def prunable(connection: Connection, age: timedelta) -> Prunable:
    """How much has been outdated for so long."""
    row = await fetch_one(
        connection, f"select count(*), count(distinct t.media_id) {_PRUNABLE}", {"age": age, "after": 0}
    )
    return Prunable(*row)


async def prune(connection: Connection, age: timedelta, after: int, limit: int) -> list[int]:
    """Remove some of it, with segments and receipts; the ids, in order. ``after`` is the last id of the call before."""
    return await fetch_column(
        connection,
        f"""
        with gone as (
            delete from jobs d using (
                select t.id {_PRUNABLE} order by t.id limit %(limit)s for update of t skip locked
            ) old where d.id = old.id returning d.id
        ) select id from gone order by id
        """,
        {"age": age, "after": after, "limit": limit},
    )
