"""What differs between two datasets: samples that came, went, changed, or are in another split."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.exports.dataset.finished.reading import manifest_of, tables_of
from orchestrator.exports.dataset.layout import DatasetFolder
from orchestrator.exports.dataset.samples import as_json

FEW = 10


@dataclass
class Group:
    """Samples that differ in one way: how many, and the first keys."""

    count: int = 0
    keys: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        """One more."""
        self.count += 1
        if len(self.keys) < FEW:
            self.keys.append(key)


@dataclass
class Difference:
    """From one dataset to another.

    Attributes:
        versions: of both.
        removed, added: samples that are only in the first, or only in the second.
        changed: whose files differ.
        described: whose files are the same, and some field differs.
        moved: that are in another split, and are otherwise the same.
    """

    versions: tuple[str, str]
    removed: Group = field(default_factory=Group)
    added: Group = field(default_factory=Group)
    changed: Group = field(default_factory=Group)
    described: Group = field(default_factory=Group)
    moved: Group = field(default_factory=Group)
    same: int = 0

    @property
    def groups(self) -> dict[str, Group]:
        """All ways to differ."""
        return {name: getattr(self, name) for name in ("removed", "added", "changed", "described", "moved")}

    @property
    def is_none(self) -> bool:
        """Whether both have the same samples."""
        return not any(group.count for group in self.groups.values())


def difference(first: DatasetFolder, second: DatasetFolder) -> Difference:
    """Compare two datasets by their indexes.

    Raises:
        NoDataset: one of them is none.
    """
    manifests = manifest_of(first), manifest_of(second)
    found = Difference((manifests[0]["version"], manifests[1]["version"]))
    before = {key: (files, fields, split) for key, files, fields, split in _samples(first, manifests[0])}
    for key, files, fields, split in _samples(second, manifests[1]):
        old = before.pop(key, None)
        if old is None:
            found.added.add(key)
        elif old[0] != files:
            found.changed.add(key)
        elif old[1] != fields:
            found.described.add(key)
        elif old[2] != split:
            found.moved.add(key)
        else:
            found.same += 1
    for key in before:
        found.removed.add(key)
    return found


def _samples(folder: DatasetFolder, manifest: dict[str, Any]) -> Iterator[tuple[str, bytes, bytes, str]]:
    """Key, hash of the files, hash of the fields, and split of each sample."""
    for table in tables_of(folder, manifest):
        for batch in table.to_batches(max_chunksize=10_000):
            for row in batch.to_pylist():
                yield row["key"], bytes.fromhex(row["sha256"]), _hash(row), row["split"]


def _hash(row: Mapping[str, Any]) -> bytes:
    """Of all fields that say something of the sample, and not of where it is."""
    fields = {name: value for name, value in row.items() if name not in ("shard", "split", "bytes", "sha256")}
    return hashlib.sha256(as_json(fields)).digest()[:16]
