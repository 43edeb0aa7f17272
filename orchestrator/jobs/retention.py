"""What the rules of ``[retention]`` no longer keep: the statements that find it, and prove that nothing of it is left.

Recordings are looked through in the order of their ids, so many at a time that no statement takes long.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg import sql

from orchestrator.database.sql import Connection, fetch_all, fetch_column, fetch_value
from orchestrator.jobs.deletion import Deleted
from reelscribe.settings.retention import RetentionRule


class Expired(NamedTuple):
    """A recording that is no longer kept.

    Attributes:
        rule: number of the rule that decides.
        used_at: its last transcription or edit.
    """

    id: int
    bucket: str
    savepath: str
    rule: int
    used_at: datetime


class Planned(NamedTuple):
    """What a rule keeps and does not keep.

    Attributes:
        rule: its number; None: no rule is for these.
        recordings: that it is for.
        expired: what would be removed of those that are no longer kept.
        given_up: failed and cancelled jobs that would be removed of those that stay.
        oldest: savepath of the expired recording that was used longest ago.
        oldest_used_at: when that was.
    """

    rule: int | None
    recordings: int
    expired: Deleted
    given_up: int
    oldest: str | None
    oldest_used_at: datetime | None

    def __add__(self, other: object) -> "Planned":
        """Of two parts of the recordings."""
        assert isinstance(other, Planned)
        oldest = [part for part in (self, other) if part.oldest_used_at is not None]
        older = min(oldest, key=lambda part: part.oldest_used_at or datetime.max, default=self)
        return Planned(
            self.rule,
            self.recordings + other.recordings,
            self.expired + other.expired,
            self.given_up + other.given_up,
            older.oldest,
            older.oldest_used_at,
        )


_JUDGED = """
    select m.id, m.bucket, m.savepath, r.number, r.keep, greatest(m.created_at, used.at, edited.at) as used_at,
        coalesce(not used.unfinished, true) and greatest(m.created_at, used.at, edited.at) < now() - r.keep as expired
    from media m
    left join lateral (
        select * from unnest(%(prefixes)s::text[], %(keeps)s::interval[]) with ordinality r (prefix, keep, number)
        where starts_with(m.savepath, r.prefix) order by length(r.prefix) desc limit 1
    ) r on true
    left join lateral (
        select max(greatest(j.created_at, j.finished_at)) as at,
            bool_or(j.state in ('queued', 'running', 'waiting')) as unfinished
        from jobs j where j.media_id = m.id and j.kind = 'transcribe'
    ) used on true
    left join lateral (select max(e.made_at) as at from edits e where e.media_id = m.id) edited on true
"""


def _of(rules: Sequence[RetentionRule]) -> dict[str, object]:
    return {"prefixes": [rule.prefix for rule in rules], "keeps": [rule.keep for rule in rules]}


async def end_of_part(connection: Connection, after: int, limit: int) -> int | None:
    """The id of the last of the next so many recordings; None: there are no more."""
    part = "select id from media where id > %s order by id limit %s"
    id: int | None = await fetch_value(connection, f"select max(id) from ({part}) part", (after, limit))
    return id


async def expired(connection: Connection, rules: Sequence[RetentionRule], after: int, until: int) -> list[Expired]:
    """Recordings of this part that are no longer kept."""
    rows = await fetch_all(
        connection,
        f"""
        select id, bucket, savepath, number - 1, used_at
        from ({_JUDGED} where m.id > %(after)s and m.id <= %(until)s) judged where expired order by id
        """,
        {**_of(rules), "after": after, "until": until},
    )
    return [Expired(*row) for row in rows]


async def still_expired(connection: Connection, ids: Sequence[int], rules: Sequence[RetentionRule]) -> list[Expired]:
    """Those of these recordings that are no longer kept; locked, they stay so."""
    rows = await fetch_all(
        connection,
        f"""
        select id, bucket, savepath, number - 1, used_at
        from ({_JUDGED} where m.id = any(%(ids)s)) judged where expired order by id
        """,
        {**_of(rules), "ids": list(ids)},
    )
    return [Expired(*row) for row in rows]


async def given_up(connection: Connection, rules: Sequence[RetentionRule], after: int, until: int) -> list[int]:
    """Transcriptions that failed or were cancelled longer ago than is kept, of recordings of this part that stay."""
    return await fetch_column(
        connection,
        f"""
        select j.id from ({_JUDGED} where m.id > %(after)s and m.id <= %(until)s) judged
        join jobs j on j.media_id = judged.id
        where not expired and j.kind = 'transcribe' and j.state in ('failed', 'cancelled')
            and j.finished_at < now() - keep
        order by j.id
        """,
        {**_of(rules), "after": after, "until": until},
    )


async def is_given_up(connection: Connection, job: int, rules: Sequence[RetentionRule]) -> bool:
    """Whether this job failed or was cancelled longer ago than is kept; locked, it stays so."""
    found = await fetch_value(
        connection,
        f"""
        select true from ({_JUDGED} where m.id = (select media_id from jobs where id = %(job)s)) judged
        join jobs j on j.id = %(job)s
        where j.state in ('failed', 'cancelled') and j.finished_at < now() - keep
        """,
        {**_of(rules), "job": job},
    )
    return bool(found)


async def plan(connection: Connection, rules: Sequence[RetentionRule], after: int, until: int) -> list[Planned]:
    """What each rule keeps and does not keep of this part, and what is under none."""
    rows = await fetch_all(
        connection,
        f"""
        select number - 1, count(*),
            count(*) filter (where expired), coalesce(sum(jobs) filter (where expired), 0)::bigint,
            coalesce(sum(transcripts) filter (where expired), 0)::bigint,
            coalesce(sum(results), 0)::bigint, coalesce(sum(edits), 0)::bigint,
            coalesce(sum(given_up) filter (where not expired), 0)::bigint,
            (array_agg(savepath order by used_at) filter (where expired))[1], min(used_at) filter (where expired)
        from ({_JUDGED} where m.id > %(after)s and m.id <= %(until)s) judged
        left join lateral (
            select count(*) as jobs,
                count(*) filter (where j.kind = 'transcribe' and j.state = 'done') as transcripts,
                count(*) filter (
                    where j.kind = 'transcribe' and j.state in ('failed', 'cancelled') and j.finished_at < now() - keep
                ) as given_up
            from jobs j where j.media_id = judged.id
        ) of_jobs on true
        left join lateral (select count(*) as results from stored_results s where expired and s.media_id = judged.id)
            of_results on true
        left join lateral (select count(*) as edits from edits e where expired and e.media_id = judged.id)
            of_edits on true
        group by number
        """,
        {**_of(rules), "after": after, "until": until},
    )
    return [
        Planned(row[0], row[1], Deleted(**dict(zip(Deleted.model_fields, row[2:7], strict=True))), *row[7:])
        for row in rows
    ]


async def left(
    connection: Connection, media_ids: Sequence[int], jobs: Sequence[int], queue_jobs: Sequence[int]
) -> list[str]:
    """The tables that still hold something of these recordings, which were removed with these jobs and their entries of
    the queue.

    Every column of every table that names a recording or a job is looked at, so that a new table cannot be forgotten.
    A message about one that has not been delivered yet is no trace: it is sent, and then removed with the others.
    """
    columns = await fetch_all(
        connection,
        """
        select c.table_name::text, c.column_name::text
        from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
        where table_schema = current_schema() and t.table_type = 'BASE TABLE'
            and not starts_with(table_name, 'procrastinate')
            and c.column_name = any(array['media_id', 'transcription_id', 'job_id'])
        """,
    )
    traces = [("media", "id", media_ids), ("jobs", "id", jobs)]
    traces += [(table, column, media_ids if column == "media_id" else jobs) for table, column in columns]
    found = []
    for table, column, ids in traces:
        statement = sql.SQL("select true from {} where {} = any(%s){} limit 1").format(
            sql.Identifier(table),
            sql.Identifier(column),
            sql.SQL(" and state <> 'pending'" if table == "webhook_deliveries" else ""),
        )
        if await (await connection.execute(statement, (list(ids),))).fetchone():
            found.append(table)
    queued = "select true from procrastinate_jobs where status = 'todo' and id = any(%s) limit 1"
    if await fetch_value(connection, queued, (list(queue_jobs),)):
        found.append("procrastinate_jobs")
    return found
