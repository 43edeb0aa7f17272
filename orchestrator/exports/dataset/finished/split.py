"""Splits a dataset: which part a sample belongs into is decided by a hash of its source, and by nothing else.

So it stays in its part when the dataset grows, and no source is in two parts.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.exports.dataset.build import shard_name
from orchestrator.exports.dataset.finish import finish
from orchestrator.exports.dataset.finished.reading import NoDataset, manifest_of, readable_table, samples_in, tables_of
from orchestrator.exports.dataset.layout import DatasetFolder
from orchestrator.exports.dataset.plan import PlanSettings
from orchestrator.exports.dataset.planner import MEGABYTE
from orchestrator.exports.dataset.samples import FIELDS, Sample
from orchestrator.exports.dataset.shard_writer import ShardWriter
from reelscribe.errors import ServiceError

SAVEPATH = "savepath"


class NotSplit(ServiceError):
    """It cannot be split so."""

    status, code, retryable = 409, "not_split", False


class Division(NamedTuple):
    """How a dataset is divided: the names of the parts, and the share of each; they add up to 1."""

    names: Sequence[str]
    ratios: Sequence[float]

    def part_of(self, source: str) -> str:
        """The part that a source belongs into."""
        at = int.from_bytes(hashlib.sha256(f"split\n{source}".encode()).digest()[:8], "big") / 2**64
        below = 0.0
        for name, ratio in zip(self.names, self.ratios, strict=True):
            below += ratio
            if at < below:
                return name
        return self.names[-1]


def source_of(row: Mapping[str, Any], by: str) -> str:
    """What decides about a sample: the value of a column; its recording if that is empty, or is what is asked for."""
    value = row.get(by)
    if by == SAVEPATH or value in (None, ""):
        return f"{row['bucket_name']}/{row['savepath']}"
    return f"{by}={value}"


def split(
    source: DatasetFolder, target: DatasetFolder, division: Division, by: str, advance: Callable[[], None]
) -> dict[str, Any]:
    """Write a dataset again, in these parts; the manifest of the new one.

    Args:
        by: ``savepath`` or another column.
        advance: called for each shard that has been read.

    Raises:
        NoDataset: ``source`` is none, or cannot be read.
        NotSplit: no sample has the column, or the target is something else.
        NotWritten: the disk refuses it.
    """
    manifest = manifest_of(source)
    _check(source, manifest, by)
    asked = {"of": manifest["version"], "by": by, "names": list(division.names), "ratios": list(division.ratios)}
    plan = PlanSettings(
        kind=manifest["kind"],
        selection=asked,
        settings=manifest["settings"],
        default_bucket="",
        shard_mb=manifest["shard_mb"],
    )
    if not (target.is_empty() or target.built_here() == (0, plan.hash())):
        raise NotSplit(f"{target.root} has files already; name an empty folder, or a new one")
    if target.building.exists():  # it was interrupted
        shutil.rmtree(target.root)
    target.mark(0, plan.hash())
    writers = _Writers(target, plan)
    try:
        for entry in manifest["shards"]:
            for key, files, record in samples_in(source.shards / entry["name"]):
                part = division.part_of(source_of(record, by))
                writers.of(part).add(Sample(key, files, {}), {**record, "split": part})
                writers.close_if_large(part)
            advance()
        for row in readable_table(source.failed).to_pylist():
            part = division.part_of(source_of(row, by))
            writers.of(part).fail({**row, "split": part})
        writers.close_all()
    finally:
        writers.leave()
    return finish(target, plan, writers.splits)


def _check(source: DatasetFolder, manifest: Mapping[str, Any], by: str) -> None:
    known = FIELDS[manifest["kind"]]
    if by not in known:
        raise NotSplit(f"there is no column {by!r}; there are {', '.join(known)}")
    if by != SAVEPATH and not any(_values(source, dict(manifest), by)):
        raise NotSplit(f"no sample has a {by}; split by savepath, or by another column")


def _values(source: DatasetFolder, manifest: dict[str, Any], by: str) -> Iterator[Any]:
    for table in tables_of(source, manifest):
        if by not in table.column_names:
            raise NoDataset(f"the index of {source.root} has no column {by}")
        yield from table[by].to_pylist()


class _Writers:
    """One open shard for each part."""

    def __init__(self, folder: DatasetFolder, plan: PlanSettings) -> None:
        self.splits: list[str] = []
        self._folder = folder
        self._plan = plan
        self._open: dict[str, ShardWriter] = {}

    def of(self, split: str) -> ShardWriter:
        """The open shard of a part."""
        if split not in self._open:
            name = shard_name(len(self.splits))
            self._open[split] = ShardWriter(self._folder.building, name, self._plan.kind)
            self.splits.append(split)
        return self._open[split]

    def close_if_large(self, split: str) -> None:
        """Complete the shard of a part if it is large enough."""
        if self._open[split].size >= self._plan.shard_mb * MEGABYTE:
            self._close(split)

    def close_all(self) -> None:
        """Complete all."""
        for split in list(self._open):
            self._close(split)

    def leave(self) -> None:
        """Remove what is not complete."""
        for writer in self._open.values():
            writer.__exit__(None, None, None)

    def _close(self, split: str) -> None:
        with self._open.pop(split) as writer:
            writer.commit()
