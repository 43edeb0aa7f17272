"""The folder of a dataset: what is where, while it is built and once it is finished."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from orchestrator.errors import NotWritten

MANIFEST = "manifest.json"
FAILED = "failed.parquet"
REPORT = "report.html"


@dataclass(frozen=True)
class DatasetFolder:
    """A folder that is, or will be, a dataset."""

    root: Path

    @classmethod
    def of(cls, path: Path) -> Self:
        """The folder, by the one path that it has, whatever it is called."""
        return cls(Path(os.path.realpath(path.expanduser())))

    @property
    def building(self) -> Path:
        """Shards that are built, until all are."""
        return self.root / "building"

    @property
    def marker(self) -> Path:
        """Says which dataset is built here."""
        return self.building / "dataset.json"

    @property
    def shards(self) -> Path:
        """The finished shards."""
        return self.root / "shards"

    @property
    def index(self) -> Path:
        """The tables of all samples."""
        return self.root / "index"

    @property
    def manifest(self) -> Path:
        """Written last: with it, the dataset is finished."""
        return self.root / MANIFEST

    @property
    def failed(self) -> Path:
        """The table of what gave no sample."""
        return self.root / FAILED

    @property
    def report(self) -> Path:
        """Shows what is in it, once that was asked for."""
        return self.root / REPORT

    def is_empty(self) -> bool:
        """Whether nothing is there.

        Raises:
            NotWritten: it is no folder, or cannot be read.
        """
        try:
            return not any(self.root.iterdir())
        except FileNotFoundError:
            return True
        except OSError as refused:
            raise NotWritten(
                f"{self.root} cannot be the folder of a dataset: {refused.strerror or refused}"
            ) from refused

    def mark(self, dataset: int, settings_hash: str) -> None:
        """Say that this dataset is built here.

        Raises:
            NotWritten: the folder cannot be written.
        """
        try:
            self.building.mkdir(parents=True, exist_ok=True)
            replace_file(self.marker, json.dumps({"dataset": dataset, "settings_hash": settings_hash}).encode())
        except OSError as refused:
            raise NotWritten(f"{self.root} cannot be written: {refused.strerror or refused}") from refused

    def built_here(self) -> tuple[int, str] | None:
        """Which dataset is built here, and the hash of its settings; None if none is."""
        found = read_json(self.marker)
        return (found["dataset"], found["settings_hash"]) if found else None


def read_json(path: Path) -> dict[str, Any] | None:
    """An object of a file; None if there is none that can be read."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, which is complete whenever it is looked at."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
