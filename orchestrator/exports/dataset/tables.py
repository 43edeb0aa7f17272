"""Parquet files of a dataset: the index of its samples, and what gave none."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from orchestrator.exports.dataset.plan import DatasetKind
from orchestrator.exports.dataset.samples import FAILED, FIELDS, OUTCOME, PLACE, FieldType

_TYPES = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}


def index_schema(kind: DatasetKind) -> pyarrow.Schema:
    """Of the index of samples of this kind."""
    return _schema({**FIELDS[kind], **OUTCOME, **PLACE})


def failed_schema() -> pyarrow.Schema:
    """Of what gave no sample."""
    return _schema(FAILED)


def _schema(fields: Mapping[str, FieldType]) -> pyarrow.Schema:
    return pyarrow.schema([pyarrow.field(name, _TYPES[type]) for name, type in fields.items()])


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], schema: pyarrow.Schema) -> None:
    """A file of these rows; the same rows give the same bytes."""
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema), path, compression="zstd")


def write_joined(path: Path, tables: Iterable[pyarrow.Table], schema: pyarrow.Schema) -> int:
    """A file of the rows of all tables, one table in memory at a time; how many rows."""
    rows = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            rows += table.num_rows
            if table.num_rows:
                writer.write_table(table.cast(schema))
    return rows


def read_table(path: Path) -> pyarrow.Table:
    """A whole file."""
    return parquet.read_table(path, partitioning=None)
