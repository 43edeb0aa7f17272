"""Transcripts as a Parquet dataset: one row per segment, one partition per minute in which objects were modified."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow
from pyarrow.parquet import ParquetWriter

from orchestrator.database.sql import Connection
from orchestrator.exports.files import remove, replacing
from orchestrator.jobs import queries as job_queries
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.formats import rows
from orchestrator.transcripts.partitions import Partition

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


def path_of(partition: Partition, root: Path, bucket: str) -> Path:
    """The partition's one file. Each bucket has its own, so that two of them can share a dataset."""
    return root.joinpath(
        f"folder={NULL if partition.folder is None else quote(partition.folder, safe='')}",
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
    wanted = {path_of(partition, root, bucket) for partition in partitions}
    for path in root.glob(f"folder=*/last_modified_date=*/hour=*/minute=*/{bucket}.parquet"):
        if path not in wanted:
            remove(path)
