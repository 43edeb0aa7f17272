"""A finished dataset, as it is read again: its manifest, its tables, and the samples of its shards."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow

from orchestrator.exports.dataset.layout import DatasetFolder, read_json
from orchestrator.exports.dataset.samples import FIELDS, RECORD
from orchestrator.exports.dataset.tables import read_table
from reelscribe.errors import ServiceError


class NoDataset(ServiceError):
    """The folder is not a finished dataset, or a file of it cannot be read."""

    status, code, retryable = 404, "no_dataset", False


class StoredSample(NamedTuple):
    """A sample of a shard: its files without the record, and the record."""

    key: str
    files: dict[str, bytes]
    record: dict[str, Any]


def manifest_of(folder: DatasetFolder) -> dict[str, Any]:
    """The manifest of a finished dataset.

    Raises:
        NoDataset: there is none.
    """
    manifest = read_json(folder.manifest)
    if manifest is None or not _is_manifest(manifest):
        unfinished = "; it is not finished, run its make command again" if folder.built_here() else ""
        raise NoDataset(f"{folder.root} is no dataset: it has no readable {folder.manifest.name}{unfinished}")
    return manifest


_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("kind", "version", "failed_sha256"), str),
    **dict.fromkeys(("samples", "failed", "bytes"), int),
    "seconds": (int, float),
    **dict.fromkeys(("settings", "selection", "splits", "reasons"), dict),
    **dict.fromkeys(("shards", "index"), list),
}
_OF_A_SHARD: Mapping[str, type] = {"name": str, "split": str, "sha256": str, "samples": int, "bytes": int}
_OF_AN_INDEX: Mapping[str, type] = {"name": str, "sha256": str, "rows": int}


def _is_manifest(value: Any) -> bool:
    """Whether all is there that its readers need; what is in it is for ``verify``."""
    return (
        _has(value, _FIELDS)
        and value["kind"] in FIELDS
        and all(_has(entry, _OF_A_SHARD) and _is_name(entry["name"]) for entry in value["shards"])
        and all(_has(entry, _OF_AN_INDEX) and _is_name(entry["name"]) for entry in value["index"])
    )


def _has(value: Any, fields: Mapping[str, type | tuple[type, ...]]) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), type) for name, type in fields.items())


def _is_name(name: str) -> bool:
    """Of a file in a folder of the dataset, and nowhere else."""
    return name == Path(name).name != ""


def tables_of(folder: DatasetFolder, manifest: dict[str, Any]) -> Iterator[pyarrow.Table]:
    """The files of the index, in order.

    Raises:
        NoDataset: one cannot be read.
    """
    for entry in manifest["index"]:
        yield readable_table(folder.index / entry["name"])


def readable_table(path: Path) -> pyarrow.Table:
    """A Parquet file.

    Raises:
        NoDataset: it cannot be read.
    """
    try:
        return read_table(path)
    except (OSError, pyarrow.ArrowException) as unreadable:
        raise NoDataset(f"{path} cannot be read: {_first_line(unreadable)}") from unreadable


def samples_in(path: Path) -> Iterator[StoredSample]:
    """The samples of a shard, one in memory at a time.

    Raises:
        NoDataset: it cannot be read, or is not in the form of samples.
    """
    key, files = "", dict[str, bytes]()
    try:
        with tarfile.open(path, "r|") as tar:
            for member in tar:
                name, _, ending = member.name.partition(".")
                content = tar.extractfile(member) if member.isfile() else None
                if content is None:
                    raise NoDataset(f"{path}: {member.name} is not a file")
                if files and name != key:
                    raise NoDataset(f"{path}: the sample {key} has no record")
                key = name
                files[ending] = content.read()
                if ending == RECORD:
                    yield StoredSample(key, files, json.loads(files.pop(RECORD)))
                    files = {}
    except (OSError, tarfile.TarError, ValueError) as unreadable:
        raise NoDataset(f"{path} cannot be read: {_first_line(unreadable)}") from unreadable
    if files:
        raise NoDataset(f"{path}: the sample {key} has no record")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
