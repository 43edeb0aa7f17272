"""Writes one shard: a tar with samples, the rows of its index, and its counts. It is complete, or it is not there."""

import hashlib
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from orchestrator.errors import NotWritten
from orchestrator.exports.dataset.plan import DatasetKind
from orchestrator.exports.dataset.samples import RECORD, Sample, as_json

END = bytes(2 * tarfile.BLOCKSIZE)
"""With which a tar ends."""
UNFINISHED = ".tmp"


class BuiltShard(NamedTuple):
    """What is in a shard: samples, items that gave none, and the tar's length and SHA-256."""

    samples: int
    failed: int
    bytes: int
    sha256: str


class Mark(NamedTuple):
    """How far a shard is."""

    position: int
    rows: int
    failed: int
    digest: "hashlib._Hash"


class Stopped(Exception):
    """No one waits for the shard any more."""


class ShardPaths(NamedTuple):
    """The files of one shard; the tar appears last."""

    tar: Path
    rows: Path
    failed: Path
    stats: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> Self:
        """Those of this name."""
        return cls(*(folder / f"{name}{ending}" for ending in (".tar", ".parquet", "_failed.parquet", "_stats.json")))


class ShardWriter:
    """A shard that is being written; leaving the block without :meth:`publish` removes what there is of it.

    Args:
        folder: it is written to; made if it is not there.
        name: of the shard.
    """

    def __init__(self, folder: Path, name: str, kind: DatasetKind) -> None:
        self._paths = ShardPaths.of(folder, name)
        self._own = f".{os.getpid()}-{os.urandom(4).hex()}{UNFINISHED}"  # two workers may build it concurrently
        self._kind = kind
        self._digest = hashlib.sha256()
        self._keys: set[str] = set()
        self._rows: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []
        self._stopped = False
        with _as_not_written(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary(self._paths.tar).open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped = True
        self._file.close()
        self._remove()

    def mark(self) -> Mark:
        """Where :meth:`roll_back` can go back to."""
        return Mark(self._file.tell(), len(self._rows), len(self._failed), self._digest.copy())

    def roll_back(self, mark: Mark) -> None:
        """Remove all samples and rows since then."""
        with _as_not_written(self._paths.tar):
            self._file.seek(mark.position)
            self._file.truncate()
        self._digest = mark.digest.copy()
        self._keys -= {row["key"] for row in self._rows[mark.rows :]}
        del self._rows[mark.rows :], self._failed[mark.failed :]

    def add(self, sample: Sample, record: Mapping[str, Any]) -> bool:
        """Add a sample with its record as ``KEY.json``; False if its key is in the shard already."""
        if sample.key in self._keys:
            return False
        self._keys.add(sample.key)
        for ending, content in (*sample.files.items(), (RECORD, as_json(record))):
            self._write(_member(f"{sample.key}.{ending}", content))
        outcome = {"status": "success", "error_code": None, "error_message": None}
        size = sum(map(len, sample.files.values()))
        self._rows.append({**record, **outcome, "bytes": size, "sha256": hash_of_files(sample.files)})
        return True

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.tell()

    def fail(self, row: Mapping[str, Any]) -> None:
        """Add a row about what gave no sample."""
        self._failed.append(dict(row))

    def stop(self) -> None:
        """Let :meth:`complete` end soon, in whichever thread it works."""
        self._stopped = True

    def complete(self) -> BuiltShard:
        """Write the end, and see that all is on the disk, under other names. Blocks.

        Raises:
            NotWritten: the disk refuses it.
            Stopped: see :meth:`stop`.
        """
        from orchestrator.exports.dataset.tables import failed_schema, index_schema, write_table

        self._write(END)
        size = self._file.tell()
        built = BuiltShard(len(self._rows), len(self._failed), size, self._digest.hexdigest())
        with _as_not_written(self._paths.tar):
            self._file.flush()
            write_table(self._temporary(self._paths.rows), self._rows, index_schema(self._kind))
            self._unless_stopped()
            write_table(self._temporary(self._paths.failed), self._failed, failed_schema())
            self._unless_stopped()
            self._temporary(self._paths.stats).write_bytes(as_json(self._stats(built)) + b"\n")
            for path in self._paths:
                self._unless_stopped()
                _sync(self._temporary(path))
        return built

    def publish(self) -> None:
        """Give the files of a complete shard their names. Blocks for a moment.

        A crash between two names leaves files of two builds next to each other. Whoever builds the shard for others to
        see notes that it is built after this, so the shard is built again then, and gets all four.

        Raises:
            NotWritten: the disk refuses it.
        """
        with _as_not_written(self._paths.tar):
            for path in reversed(self._paths):
                self._temporary(path).replace(path)
            _sync(self._paths.tar.parent)

    def commit(self) -> BuiltShard:
        """:meth:`complete` and :meth:`publish`."""
        built = self.complete()
        self.publish()
        return built

    def _unless_stopped(self) -> None:
        """
        Raises:
            Stopped: and what was written meanwhile is removed.
        """
        if self._stopped:
            self._remove()
            raise Stopped

    def _remove(self) -> None:
        for path in self._paths:
            self._temporary(path).unlink(missing_ok=True)

    def _stats(self, built: BuiltShard) -> dict[str, Any]:
        reasons: dict[str, int] = {}
        for row in self._failed:
            reasons[row["error_code"]] = reasons.get(row["error_code"], 0) + 1
        return {**built._asdict(), "reasons": dict(sorted(reasons.items()))}

    def _write(self, content: bytes) -> None:
        with _as_not_written(self._paths.tar):
            self._file.write(content)
        self._digest.update(content)

    def _temporary(self, path: Path) -> Path:
        return path.with_name(path.name + self._own)


def hash_of_files(files: Mapping[str, bytes]) -> str:
    """Of the files of a sample, without its record."""
    digest = hashlib.sha256()
    for ending, content in files.items():
        digest.update(f"{ending} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _member(name: str, content: bytes) -> bytes:
    """A file of a tar, whose bytes depend on nothing but its name and content."""
    header = tarfile.TarInfo(name)
    header.size, header.mode = len(content), 0o644
    padding = -len(content) % tarfile.BLOCKSIZE
    return header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(padding)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _as_not_written:
    """A context that turns what the disk refuses into a sentence about this path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise NotWritten(f"{self._path} cannot be written: {error.strerror or error}") from error
