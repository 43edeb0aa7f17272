"""Transcripts as a Parquet dataset: one row per segment, one partition per minute in which objects were modified."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pyarrow
from psycopg.rows import class_row
from pyarrow.parquet import ParquetWriter

from orchestrator.database import sql
from orchestrator.database.sql import Connection
from orchestrator.exports.files import remove, replacing
from orchestrator.jobs import queries as job_queries
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.formats import rows
from orchestrator.transcripts.queries import LAST_MODIFIED, NEWEST

UTC_TIME = pyarrow.timestamp("us", tz="UTC")
SCHEMA = pyarrow.schema(
    [
        pyarrow.field("bucket", pyarrow.string(), nullable=False),
        pyarrow.field("savepath", pyarrow.string(), nullable=False),
        pyarrow.field("job", pyarrow.int64(), nullable=False),
        pyarrow.field("index", pyarrow.int32(), nullable=False),
        pyarrow.field("start", pyarrow.float64(), nullable=False),
        pyarrow.field("end", pyarrow.float64(), nullable=False),
        pyarrow.field("text", pyarrow.string(), nullable=False),
        pyarrow.field("tokens", pyarrow.list_(pyarrow.int32()), nullable=False),
        pyarrow.field("model", pyarrow.string()),
        pyarrow.field("language", pyarrow.string()),
        pyarrow.field("avg_logprob", pyarrow.float64(), nullable=False),
        pyarrow.field("no_speech_prob", pyarrow.float64(), nullable=False),
        pyarrow.field("compression_ratio", pyarrow.float64(), nullable=False),
        pyarrow.field("temperature", pyarrow.float64(), nullable=False),
        pyarrow.field("complete", pyarrow.bool_(), nullable=False),
        pyarrow.field("last_modified", UTC_TIME),
        pyarrow.field("finished_at", UTC_TIME, nullable=False),
    ]
)
ROW_GROUP_ROWS = 50_000
NULL = "__HIVE_DEFAULT_PARTITION__"


class Partition(NamedTuple):
    """All that is in one minute of one folder.

    Attributes:
        folder: first part of the savepaths; None for savepaths without one.
        minute: in UTC, without a zone.
        jobs: transcriptions that are to be in it, ordered by savepath; none if newer versions are in other partitions.
    """

    folder: str | None
    minute: datetime
    jobs: list[int]

    def path(self, root: Path, bucket: str) -> Path:
        """Its one file. Each bucket has its own, so that two of them can share a dataset."""
        return root.joinpath(
            f"folder={NULL if self.folder is None else quote(self.folder, safe='')}",
            f"last_modified_date={self.minute:%Y-%m-%d}",
            f"hour={self.minute.hour}",
            f"minute={self.minute.minute}",
            f"{bucket}.parquet",
        )


_DONE = f"""
    select t.id, m.savepath, {NEWEST} as newest,
        case when m.savepath like '_%%/%%' then split_part(m.savepath, '/', 1) end as folder,
        date_trunc('minute', {LAST_MODIFIED} at time zone 'UTC') as minute
    from transcriptions t join media m on m.id = t.media_id
    where t.state = 'done' and m.bucket = %(bucket)s
"""
_NAMED = "savepath like %(prefix)s and (%(savepaths)s::text[] is null or savepath = any(%(savepaths)s))"
_NEIGHBOURS = f"""
    with wanted as materialized (select distinct minute from ({_DONE} and {_NAMED}) named)
    select a.transcription_id from attempts a
    where date_trunc('minute', a.last_modified at time zone 'UTC') in (select minute from wanted)
    union
    select t.id from transcriptions t
    where date_trunc('minute', t.finished_at at time zone 'UTC') in (select minute from wanted)
"""
"""All that may be in the wanted partitions: found by its columns, before anything is worked out for each."""


async def touched(
    connection: Connection, bucket: str, savepaths: Sequence[str] | None = None, prefix: str = ""
) -> list[Partition]:
    """The partitions that these savepaths are in, or ever were, each with all that belongs into it.

    A partition is always rewritten completely, so it must know the neighbours of what was asked for too; and a savepath
    whose object was modified leaves one partition for another.
    """
    done = _DONE if savepaths is None and not prefix else f"{_DONE} and t.id in ({_NEIGHBOURS})"
    async with connection.cursor(row_factory=class_row(Partition)) as cursor:
        await cursor.execute(
            f"""
            select folder, minute, coalesce(array_agg(id order by savepath) filter (where newest), '{{}}') as jobs
            from ({done}) done group by folder, minute having bool_or({_NAMED}) order by folder, minute
            """,
            {"bucket": bucket, "prefix": sql.starting_with(prefix), "savepaths": savepaths and list(savepaths)},
        )
        return await cursor.fetchall()


async def rewrite(
    connection: Connection, root: Path, bucket: str, partition: Partition, advance: Callable[[], None]
) -> None:
    """Write the partition's file again, or remove it if nothing belongs into it; ``advance`` is called for each job.

    Raises:
        NotWritten: it cannot be written; the old file, if any, is as it was.
    """
    path = partition.path(root, bucket)
    if not partition.jobs:
        remove(path)
        return
    with replacing(root, path) as unfinished, ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer:
        pending: list[dict[str, Any]] = []
        for id in partition.jobs:
            for job in await job_queries.jobs_by_id(connection, [id]):
                pending += rows(await transcript_queries.transcript_of(connection, job))
            if len(pending) >= ROW_GROUP_ROWS:
                writer.write_table(pyarrow.Table.from_pylist(pending, SCHEMA))
                pending = []
            advance()
        writer.write_table(pyarrow.Table.from_pylist(pending, SCHEMA))


def remove_others(root: Path, bucket: str, partitions: Sequence[Partition]) -> None:
    """Remove the bucket's files of all other partitions: their transcripts are gone from the database."""
    wanted = {partition.path(root, bucket) for partition in partitions}
    for path in root.glob(f"folder=*/last_modified_date=*/hour=*/minute=*/{bucket}.parquet"):
        if path not in wanted:
            remove(path)
