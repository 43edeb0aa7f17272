"""Makes a dataset of built shards: dense names, the index, what failed, and the manifest, which is written last.

Whatever interrupts it, doing it again gives the same files.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
from pyarrow import compute, parquet

from orchestrator.errors import NotWritten
from orchestrator.exports.dataset.build import shard_name
from orchestrator.exports.dataset.layout import DatasetFolder, read_json, replace_file
from orchestrator.exports.dataset.plan import DatasetKind, PlanSettings
from orchestrator.exports.dataset.shard_writer import ShardPaths
from orchestrator.exports.dataset.tables import failed_schema, index_schema, read_table, write_joined
from reelscribe.version import version as reelscribe_version

INDEX_ROWS = 500_000
"""Of one file of the index, about."""
FORMAT = 1
SECONDS_OF: Mapping[DatasetKind, str | None] = {
    "speech": "duration",
    "clips": "duration",
    "pairs": "audio_seconds",
    "frames": None,
}
"""The column that says how long a sample is."""


class _Shard(NamedTuple):
    """A built shard; ``name`` is None if it has no samples, and is left out."""

    built: ShardPaths
    split: str
    name: str | None
    samples: int
    seconds: float


def finish(
    folder: DatasetFolder, plan: PlanSettings, splits: Sequence[str], advance: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Finish a dataset all of whose shards are built; its manifest.

    Args:
        splits: of the shards, in their order.
        advance: called after each step; what it raises ends the work, which another call continues.

    Raises:
        NotWritten: the disk refuses it.
    """
    try:
        shards = []
        for shard in _named(folder, plan.kind, splits):
            shards.append(shard)
            advance()
        folder.shards.mkdir(exist_ok=True)
        index = _write_index(folder, plan.kind, shards, advance)
        failed = _write_failed(folder, shards, advance)
        described = []
        for shard in shards:
            if shard.name is not None:
                described.append(_move(folder, shard))
            advance()
        for path in (*folder.root.glob(".*.tmp"), *folder.index.glob(".*.tmp")):
            path.unlink()  # an earlier call was killed while it wrote this
        manifest = _manifest(plan, described, index, failed)
        replace_file(folder.manifest, (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())
        shutil.rmtree(folder.building)
        return manifest
    except OSError as refused:
        raise NotWritten(f"{folder.root} cannot be written: {refused.strerror or refused}") from refused


def _named(folder: DatasetFolder, kind: DatasetKind, splits: Sequence[str]) -> Iterator[_Shard]:
    """The shards with their final names: without a gap in any split."""
    used: dict[str, int] = {}
    for number, split in enumerate(splits):
        built = ShardPaths.of(folder.building, shard_name(number))
        samples = parquet.read_metadata(built.rows).num_rows
        name = None
        if samples:
            name = f"{split}-{used.get(split, 0):06d}"
            used[split] = used.get(split, 0) + 1
        yield _Shard(built, split, name, samples, _seconds(built.rows, kind) if samples else 0.0)


def _seconds(index: Path, kind: DatasetKind) -> float:
    column = SECONDS_OF[kind]
    if column is None:
        return 0.0
    found = parquet.read_table(index, columns=[column], partitioning=None)[column]
    return float(compute.sum(found).as_py() or 0.0)


def _write_index(
    folder: DatasetFolder, kind: DatasetKind, shards: Sequence[_Shard], advance: Callable[[], None]
) -> list[dict[str, Any]]:
    folder.index.mkdir(exist_ok=True)
    groups: list[tuple[str, list[_Shard]]] = []
    for split in dict.fromkeys(shard.split for shard in shards):
        rows = INDEX_ROWS
        for shard in shards:
            if shard.split != split or shard.name is None:
                continue
            if rows + shard.samples > INDEX_ROWS:
                groups.append((split, []))
                rows = 0
            groups[-1][1].append(shard)
            rows += shard.samples
    described = []
    for split in dict.fromkeys(split for split, _ in groups):
        of_split = [group for name, group in groups if name == split]
        for number, group in enumerate(of_split):
            name = f"{split}-{number:05d}-of-{len(of_split):05d}.parquet"
            rows = _joined(folder.index / name, (_with_shard(shard, advance) for shard in group), index_schema(kind))
            described.append({"name": name, "split": split, "rows": rows, "sha256": sha256_of(folder.index / name)})
    wanted = {entry["name"] for entry in described}
    for path in folder.index.glob("*.parquet"):
        if path.name not in wanted:
            path.unlink()
    return described


def _with_shard(shard: _Shard, advance: Callable[[], None]) -> pyarrow.Table:
    advance()
    table = read_table(shard.built.rows)
    place = table.schema.get_field_index("shard")
    return table.set_column(place, "shard", pyarrow.array([shard.name] * table.num_rows, pyarrow.string()))


def _write_failed(folder: DatasetFolder, shards: Sequence[_Shard], advance: Callable[[], None]) -> dict[str, Any]:
    def tables() -> Iterator[pyarrow.Table]:
        for shard in shards:
            advance()
            yield read_table(shard.built.failed)

    rows = _joined(folder.failed, tables(), failed_schema())
    reasons: dict[str, int] = {}
    for reason in read_table(folder.failed)["error_code"].to_pylist():
        reasons[reason] = reasons.get(reason, 0) + 1
    return {"rows": rows, "sha256": sha256_of(folder.failed), "reasons": dict(sorted(reasons.items()))}


def _joined(path: Path, tables: Iterable[pyarrow.Table], schema: pyarrow.Schema) -> int:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        rows = write_joined(unfinished, tables, schema)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _move(folder: DatasetFolder, shard: _Shard) -> dict[str, Any]:
    """Give a shard its final name; what the manifest says of it."""
    assert shard.name
    final = ShardPaths.of(folder.shards, shard.name)
    for built, moved in ((shard.built.tar, final.tar), (shard.built.stats, final.stats)):
        if built.exists():
            built.replace(moved)
    stats = read_json(final.stats)
    if stats is None or not final.tar.exists():
        raise NotWritten(f"{final.tar} is missing; remove {folder.root}, and run the command again")
    return {
        "name": final.tar.name,
        "split": shard.split,
        "samples": shard.samples,
        "seconds": round(shard.seconds, 6),
        "bytes": stats["bytes"],
        "sha256": stats["sha256"],
    }


def _manifest(
    plan: PlanSettings, shards: Sequence[Mapping[str, Any]], index: Sequence[Mapping[str, Any]], failed: dict[str, Any]
) -> dict[str, Any]:
    splits: dict[str, dict[str, Any]] = {}
    for shard in shards:
        total = splits.setdefault(shard["split"], {"shards": 0, "samples": 0, "seconds": 0.0, "bytes": 0})
        total["shards"] += 1
        for name in ("samples", "seconds", "bytes"):
            total[name] = round(total[name] + shard[name], 6)
    sums = {name: round(sum(shard[name] for shard in shards), 6) for name in ("samples", "seconds", "bytes")}
    return {
        "format": FORMAT,
        "kind": plan.kind,
        "version": content_version(plan.kind, shards),
        "made_by": f"reelscribe {reelscribe_version()}",
        "settings_hash": plan.hash(),
        "settings": dict(sorted(plan.settings.items())),
        "shard_mb": plan.shard_mb,
        "selection": dict(sorted(plan.selection.items())),
        **sums,
        "failed": failed["rows"],
        "reasons": failed["reasons"],
        "failed_sha256": failed["sha256"],
        "splits": splits,
        "shards": list(shards),
        "index": list(index),
    }


def content_version(kind: str, shards: Iterable[Mapping[str, Any]]) -> str:
    """The same for the same samples in the same shards, wherever and whenever they were built."""
    digest = hashlib.sha256(kind.encode())
    for shard in sorted(shards, key=lambda shard: str(shard["name"])):
        digest.update(f"\n{shard['name']} {shard['sha256']}".encode())
    return digest.hexdigest()[:16]


def sha256_of(path: Path) -> str:
    """Of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
