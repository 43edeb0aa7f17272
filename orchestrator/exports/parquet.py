"""Transcripts as a Parquet dataset: one row per segment, one partition per minute in which objects were modified."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow
from pyarrow.parquet import ParquetWriter, read_schema

from orchestrator.database.sql import Connection
from orchestrator.exports.files import remove, replacing
from orchestrator.jobs import queries as job_queries
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.formats import rows
from orchestrator.transcripts.partitions import ROOT, Partition

UTC_TIME = pyarrow.timestamp("us", tz="UTC")
WORD = pyarrow.struct(
    [
        pyarrow.field("start", pyarrow.float64(), nullable=False),
        pyarrow.field("end", pyarrow.float64(), nullable=False),
        pyarrow.field("word", pyarrow.string(), nullable=False),
        pyarrow.field("probability", pyarrow.float64(), nullable=False),
    ]
)
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
        pyarrow.field("words", pyarrow.list_(WORD)),
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
NO_ROWS = "no_rows"
"""Name of the file without rows. It is no bucket's: their names have no underscore."""


def path_of(partition: Partition, root: Path, bucket: str) -> Path:
    """The partition's one file. Each bucket has its own, so that two of them can share a dataset."""
    return root.joinpath(
        f"folder={quote(partition.folder, safe='')}",
        f"last_modified_date={partition.minute:%Y-%m-%d}",
        f"hour={partition.minute.hour}",
        f"minute={partition.minute.minute}",
        f"{bucket}.parquet",
    )


async def rewrite(
    connection: Connection, root: Path, bucket: str, partition: Partition, advance: Callable[[], None]
) -> None:
    """Write the partition's file again, or remove it if nothing belongs into it; ``advance`` is called for each job.

    Raises:
        NotWritten: it cannot be written; the old file, if any, is as it was.
    """
    path = path_of(partition, root, bucket)
    if not partition.jobs:
        remove(path)
        return
    _keep_folders_text(root)
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


def _keep_folders_text(root: Path) -> None:
    """Have a partition whose folder is no number and no date, with a file without rows.

    Readers find the type of a partition column from its values: if all folders were digits, pyarrow and DuckDB would
    read ``2024`` and ``007`` as integers; if all were dates, DuckDB would read dates.
    """
    path = path_of(Partition(ROOT, datetime(1970, 1, 1), []), root, NO_ROWS)
    if not _has_all_columns(path):
        with replacing(root, path) as unfinished, ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer:
            writer.write_table(SCHEMA.empty_table())


def _has_all_columns(path: Path) -> bool:
    """Whether this file, from which readers take the columns of all, is not that of an older version."""
    try:
        return bool(read_schema(path) == SCHEMA)
    except (OSError, pyarrow.ArrowException):
        return False


def remove_others(root: Path, bucket: str, partitions: Sequence[Partition]) -> None:
    """Remove the bucket's files of all other partitions: their transcripts are gone from the database."""
    wanted = {path_of(partition, root, bucket) for partition in partitions}
    for path in root.glob(f"folder=*/last_modified_date=*/hour=*/minute=*/{bucket}.parquet"):
        if path not in wanted:
            remove(path)
