"""Verifies a dataset: that all is there, that it is what its manifest says, and that loaders can read it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.exports.dataset.finish import content_version, sha256_of
from orchestrator.exports.dataset.finished.reading import NoDataset, manifest_of, readable_table, samples_in
from orchestrator.exports.dataset.finished.split import source_of
from orchestrator.exports.dataset.layout import DatasetFolder
from orchestrator.exports.dataset.samples import FIELDS
from orchestrator.exports.dataset.shard_writer import END, hash_of_files

LONGEST_KEY = 128
"""That loaders take."""

Row = Mapping[str, Any]


def findings(folder: DatasetFolder, advance: Callable[[], None]) -> Iterator[str]:
    """What is wrong, one sentence each; ``advance`` is called for each shard.

    Raises:
        NoDataset: it is none.
    """
    manifest = manifest_of(folder)
    rows: dict[str, dict[str, Row]] = {}
    yield from _index(folder, manifest, rows)
    yield from _failed(folder, manifest)
    yield from _names(folder, manifest)
    keys: dict[str, str] = {}
    endings: set[str] = set()
    for entry in manifest["shards"]:
        path = folder.shards / entry["name"]
        yield from _file(path, entry)
        if path.exists():
            yield from _samples(path, entry, manifest["kind"], rows.get(path.stem, {}), keys, endings)
        advance()
    if manifest["version"] != content_version(manifest["kind"], manifest["shards"]):
        yield "the version is not the one of these shards"
    if by := manifest["selection"].get("by"):
        yield from _sources(rows, by)


def _index(folder: DatasetFolder, manifest: Mapping[str, Any], rows: dict[str, dict[str, Row]]) -> Iterator[str]:
    """What is wrong with the index; its rows, by shard and key, are added to ``rows``."""
    for entry in manifest["index"]:
        path = folder.index / entry["name"]
        try:
            table = readable_table(path)
        except NoDataset as unreadable:
            yield unreadable.message
            continue
        if sha256_of(path) != entry["sha256"] or table.num_rows != entry["rows"]:
            yield f"{path.name} is not the file that the manifest describes"
        wanted = [
            name
            for name in ("shard", "key", "split", "sha256", *_source_columns(manifest))
            if name in table.column_names
        ]
        for row in table.select(dict.fromkeys(wanted)).to_pylist():
            rows.setdefault(row["shard"], {})[row["key"]] = row


def _source_columns(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    by = manifest["selection"].get("by")
    return ("bucket_name", "savepath", by) if by else ()


def _failed(folder: DatasetFolder, manifest: Mapping[str, Any]) -> Iterator[str]:
    try:
        rows = readable_table(folder.failed).num_rows
    except NoDataset as unreadable:
        yield unreadable.message
        return
    if sha256_of(folder.failed) != manifest["failed_sha256"] or rows != manifest["failed"]:
        yield f"{folder.failed.name} is not the file that the manifest describes"


def _names(folder: DatasetFolder, manifest: Mapping[str, Any]) -> Iterator[str]:
    used: dict[str, int] = {}
    for entry in manifest["shards"]:
        split = entry["split"]
        if entry["name"] != f"{split}-{used.get(split, 0):06d}.tar":
            yield f"{entry['name']} is not the next name of the split {split}"
        used[split] = used.get(split, 0) + 1
    known = {entry["name"] for entry in manifest["shards"]}
    for path in sorted(folder.shards.glob("*.tar")):
        if path.name not in known:
            yield f"{path.name} is no shard of the manifest"


def _file(path: Path, entry: Mapping[str, Any]) -> Iterator[str]:
    if not path.exists():
        yield f"{path.name} is missing"
    elif path.stat().st_size != entry["bytes"]:
        yield f"{path.name} has {path.stat().st_size} bytes, not {entry['bytes']}"
    elif sha256_of(path) != entry["sha256"]:
        yield f"{path.name} has been changed: its SHA-256 is not that of the manifest"


def _samples(
    path: Path,
    entry: Mapping[str, Any],
    kind: Any,
    rows: Mapping[str, Row],
    keys: dict[str, str],
    endings: set[str],
) -> Iterator[str]:
    """What is wrong with the samples of a shard; ``keys`` and ``endings`` collect those of all shards."""
    count, fields = 0, list(FIELDS[kind])
    try:
        for key, files, record in samples_in(path):
            count += 1
            endings |= {" ".join(sorted(files))}
            if keys.setdefault(key, path.name) != path.name:
                yield f"{path.name}: {key} is in {keys[key]} too"
            if not key or len(key) > LONGEST_KEY or record.get("key") != key:
                yield f"{path.name}: {key!r} is no key"
            if list(record) != fields:
                yield f"{path.name}: {key} does not have the fields of the others"
            row = rows.get(key)
            if row is None:
                yield f"{path.name}: {key} is not in the index"
            elif row["sha256"] != hash_of_files(files):
                yield f"{path.name}: the files of {key} are not those of the index"
    except NoDataset as unreadable:
        yield unreadable.message
        return
    if count != entry["samples"] or count != len(rows):
        yield f"{path.name} has {count} samples, not {entry['samples']}; the index has {len(rows)}"
    if len(endings) > 1:
        yield f"{path.name}: not every sample has the same files: {', '.join(sorted(endings))}"
    with path.open("rb") as file:
        file.seek(-min(len(END), path.stat().st_size), 2)
        if file.read() != END:
            yield f"{path.name} does not end as a tar ends"


def _sources(rows: Mapping[str, Mapping[str, Row]], by: str) -> Iterator[str]:
    """Sources of a dataset that was split by one, and is in two parts nevertheless."""
    parts: dict[str, str] = {}
    for of_shard in rows.values():
        for row in of_shard.values():
            source = source_of(row, by)
            if parts.setdefault(source, row["split"]) != row["split"]:
                yield f"{source} is in {parts[source]} and in {row['split']}"
