"""Transcripts as a Parquet dataset: one row per segment, one partition per minute in which objects were modified."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow
from pyarrow.parquet import ParquetWriter, read_schema

from orchestrator.database.sql import Connection
from orchestrator.errors import NotWritten
from orchestrator.exports.files import remove, replacing
from orchestrator.exports.tokens.segments import SegmentTokens
from orchestrator.exports.tokens.tokenizer import AudioTokenizer, description
from orchestrator.jobs import queries as job_queries
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.formats import rows
from orchestrator.transcripts.models import Transcript
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
        pyarrow.field("title", pyarrow.string()),
        pyarrow.field("edited_by", pyarrow.string()),
    ]
)
AUDIO_TOKENS = pyarrow.field("audio_tokens", pyarrow.list_(pyarrow.int16()))
TOKENIZER = b"reelscribe.tokenizer"
"""Key of the schema's metadata: what made the audio tokens, as JSON."""
ROW_GROUP_ROWS = 50_000
ROW_GROUP_TOKENS = 1 << 22
"""Audio tokens; 4 minutes of mu-law."""
LONGEST_NAME = 255
"""In bytes, of a file or folder."""
NO_ROWS = "no_rows"
"""Name of the file without rows. It is no bucket's: their names have no underscore."""


def path_of(partition: Partition, root: Path, bucket: str) -> Path:
    """The partition's one file. Each bucket has its own, so that two of them can share a dataset."""
    return root.joinpath(
        _folder_name(partition.folder),
        f"last_modified_date={partition.minute:%Y-%m-%d}",
        f"hour={partition.minute.hour}",
        f"minute={partition.minute.minute}",
        f"{bucket}.parquet",
    )


def _folder_name(folder: str) -> str:
    """As Hive has it: quoted, but for letters that are not ASCII if the name would be longer than a disk takes."""
    quoted = f"folder={quote(folder, safe='')}"
    if len(quoted) <= LONGEST_NAME:
        return quoted
    return "folder=" + "".join(quote(letter, safe="") if letter.isascii() else letter for letter in folder)


def schema(tokenizer: AudioTokenizer | None) -> pyarrow.Schema:
    """The columns of a dataset, with those of audio tokens if there is a tokeniser."""
    if tokenizer is None:
        return SCHEMA
    return SCHEMA.append(AUDIO_TOKENS).with_metadata({TOKENIZER: json.dumps(description(tokenizer))})


def check_tokens(root: Path, tokenizer: AudioTokenizer | None) -> None:
    """Check that no rows of a dataset would have audio tokens of another tokeniser, or lose them.

    Raises:
        NotWritten: they would.
    """
    there = ((_schema_of(_no_rows(root)) or SCHEMA).metadata or {}).get(TOKENIZER)
    if there is None or (tokenizer and json.loads(there) == description(tokenizer)):
        return
    made = json.loads(there)
    raise NotWritten(
        f"{root} has audio tokens of {made['name']}, version {made['version']}; export with --tokens {made['name']} "
        "of this version, or into another folder"
    )


async def rewrite(
    connection: Connection,
    root: Path,
    bucket: str,
    partition: Partition,
    advance: Callable[[], None],
    tokens: SegmentTokens | None = None,
    as_heard: bool = False,
) -> None:
    """Write the partition's file again, or remove it if nothing belongs into it; ``advance`` is called for each job.

    Raises:
        NotWritten: it cannot be written; the old file, if any, is as it was.
        ServiceError: sound is needed, and the extractor answers no request now; as before.
    """
    path = path_of(partition, root, bucket)
    if not partition.jobs:
        remove(path)
        return
    columns = schema(tokens.tokenizer if tokens else None)
    _keep_folders_text(root, columns)
    with replacing(root, path) as unfinished, ParquetWriter(unfinished, columns, compression="zstd") as writer:
        pending: list[dict[str, Any]] = []
        pending_tokens = 0
        for id in partition.jobs:
            for job in await job_queries.jobs_by_id(connection, [id]):
                transcript = await transcript_queries.transcript_of(connection, job, as_heard)
                await connection.commit()  # PostgreSQL ends a transaction that is idle while sound arrives
                async for row, count in _rows(transcript, tokens, path.parent):
                    pending.append(row)
                    pending_tokens += count
                    if pending_tokens >= ROW_GROUP_TOKENS:
                        writer.write_table(pyarrow.Table.from_pylist(pending, columns))
                        pending, pending_tokens = [], 0
            if len(pending) >= ROW_GROUP_ROWS:
                writer.write_table(pyarrow.Table.from_pylist(pending, columns))
                pending, pending_tokens = [], 0
            advance()
        writer.write_table(pyarrow.Table.from_pylist(pending, columns))


async def _rows(
    transcript: Transcript, tokens: SegmentTokens | None, folder: Path
) -> AsyncIterator[tuple[dict[str, Any], int]]:
    """The rows of a transcript, each with the number of its audio tokens."""
    if tokens is None:
        for row in rows(transcript):
            yield row, 0
        return
    async with tokens.of(transcript, folder) as those:
        for row, audio in zip(rows(transcript), those, strict=True):
            yield {**row, AUDIO_TOKENS.name: audio}, 0 if audio is None else audio.size


def _no_rows(root: Path) -> Path:
    return path_of(Partition(ROOT, datetime(1970, 1, 1), []), root, NO_ROWS)


def _keep_folders_text(root: Path, columns: pyarrow.Schema) -> None:
    """Have a partition whose folder is no number and no date, with a file without rows.

    Readers find the type of a partition column from its values: if all folders were digits, pyarrow and DuckDB would
    read ``2024`` and ``007`` as integers; if all were dates, DuckDB would read dates. Readers take the columns of all
    files from this one: one of an older version is replaced.
    """
    path = _no_rows(root)
    there = _schema_of(path)
    if there is None or not there.equals(columns, check_metadata=True):
        with replacing(root, path) as unfinished, ParquetWriter(unfinished, columns, compression="zstd") as writer:
            writer.write_table(columns.empty_table())


def _schema_of(path: Path) -> pyarrow.Schema | None:
    """The columns of a file; None if there is none, or it is broken."""
    try:
        return read_schema(path)
    except (OSError, pyarrow.ArrowException):
        return None


def remove_others(root: Path, bucket: str, partitions: Sequence[Partition]) -> None:
    """Remove the bucket's files of all other partitions: their transcripts are gone from the database."""
    wanted = {path_of(partition, root, bucket) for partition in partitions}
    for path in root.glob(f"folder=*/last_modified_date=*/hour=*/minute=*/{bucket}.parquet"):
        if path not in wanted:
            remove(path)
