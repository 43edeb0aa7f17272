"""Which transcripts belong into which partition of a dataset: one per minute in which objects were modified."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from orchestrator.database.sql import Connection, starting_with
from orchestrator.transcripts.filters import NO_FILTERS, TranscriptFilters, last_modified, newest

ROOT = "."
"""The folder of recordings in the bucket's root. No folder of a bucket can have this name."""


class Partition(NamedTuple):
    """All that is in one minute of one folder.

    Attributes:
        folder: first part of the savepaths; :data:`ROOT` for savepaths without one.
        minute: in UTC, without a zone.
        jobs: transcriptions that are to be in it, ordered by savepath; none if newer versions are in other partitions.
    """

    folder: str
    minute: datetime
    jobs: list[int]


def _done(filters: TranscriptFilters = NO_FILTERS) -> str:
    return f"""
    select t.id, m.savepath, {" and ".join([newest("t"), *filters.conditions("t")])} as belongs,
        case when m.savepath like '_%%/%%' then split_part(m.savepath, '/', 1) else '{ROOT}' end as folder,
        date_trunc('minute', {last_modified("t")} at time zone 'UTC') as minute
    from transcriptions t join media m on m.id = t.media_id
    where t.state = 'done' and m.bucket = %(bucket)s
    """


_NAMED = "savepath like %(prefix)s and (%(savepaths)s::text[] is null or savepath = any(%(savepaths)s))"
_NEIGHBOURS = f"""
    with wanted as materialized (select distinct minute from ({_done()} and {_NAMED}) named)
    select a.transcription_id from attempts a
    where date_trunc('minute', a.last_modified at time zone 'UTC') in (select minute from wanted)
    union
    select t.id from transcriptions t
    where date_trunc('minute', t.finished_at at time zone 'UTC') in (select minute from wanted)
"""
"""All that may be in the wanted partitions: found by its columns, before anything is worked out for each."""


async def touched(
    connection: Connection,
    bucket: str,
    savepaths: Sequence[str] | None = None,
    prefix: str = "",
    filters: TranscriptFilters = NO_FILTERS,
) -> list[Partition]:
    """The partitions that these savepaths are in, or ever were, each with all that belongs into it.

    A partition is always rewritten completely, so it must know the neighbours of what was asked for too; and a savepath
    whose object was modified leaves one partition for another. What the filters do not want belongs nowhere.
    """
    done = _done(filters)
    if savepaths is not None or prefix:
        done += f" and t.id in ({_NEIGHBOURS})"
    async with connection.cursor(row_factory=class_row(Partition)) as cursor:
        await cursor.execute(
            f"""
            select folder, minute, coalesce(array_agg(id order by savepath) filter (where belongs), '{{}}') as jobs
            from ({done}) done group by folder, minute having bool_or({_NAMED}) order by folder, minute
            """,
            {
                "bucket": bucket,
                "prefix": starting_with(prefix),
                "savepaths": savepaths and list(savepaths),
                **filters.parameters(),
            },
        )
        return await cursor.fetchall()
