"""Datasets as people see them in a browser: by name, without a path of this host, and with their reports."""

import os
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pydantic import Field

from orchestrator.exports.dataset.layout import DatasetFolder
from orchestrator.jobs.datasets import Dataset, DatasetState
from orchestrator.jobs.models import Record

_TO_DO: dict[DatasetState, str] = {
    "built": "All shards are built; its make command, run again, finishes it.",
    "failed": "Its make command, run again, tries again.",
    "cancelled": "It was cancelled; its make command, run again, continues it.",
}


class ShownDataset(Record):
    """A dataset in the answer of ``GET /api/datasets``."""

    id: int
    name: str = Field(description="of its folder")
    kind: str = Field(description="`speech`, `pairs`, `frames` or `clips`")
    state: DatasetState = Field(
        description="`built`: all shards are, and its make command has to finish it; `failed`: shards could not be"
        " built; `cancelled`: shards are not built, and nothing is to build them"
    )
    note: str | None = Field(description="what is wrong and what helps, for people")
    recordings: int = Field(description="that its plan names")
    shards: int
    built: int = Field(description="shards that are")
    samples: int = Field(description="in the shards that are built")
    failed: int = Field(description="recordings or parts of them that gave no sample there")
    created_at: datetime
    finished_at: datetime | None
    version: str | None = Field(description="the hash of what is in it; null until it is finished")
    report_url: str | None = Field(description="of its report; null if this host has none")


def shown(found: Sequence[Dataset]) -> list[ShownDataset]:
    """These datasets; looks whether there are reports, and blocks."""
    return [_shown(dataset) for dataset in found]


def _shown(dataset: Dataset) -> ShownDataset:
    report = open_report(dataset)
    if report:
        report.close()
    return ShownDataset(
        id=dataset.id,
        name=_name(dataset),
        kind=dataset.kind,
        state=dataset.state,
        note=_note(dataset),
        recordings=dataset.recordings,
        shards=dataset.shards,
        built=dataset.built,
        samples=dataset.samples,
        failed=dataset.failed,
        created_at=dataset.created_at,
        finished_at=dataset.finished_at,
        version=dataset.version,
        report_url=f"/datasets/{dataset.id}/report" if report else None,
    )


def _name(dataset: Dataset) -> str:
    return Path(dataset.folder).name or dataset.kind


def _note(dataset: Dataset) -> str | None:
    problem = (dataset.problem or "").replace(dataset.folder, _name(dataset))
    if problem and not problem.endswith((".", "!", "?")):
        problem += "."
    if dataset.broken:
        problem = f"{dataset.broken} of {dataset.shards} shards could not be built: {problem or 'no reason is known.'}"
    return " ".join(filter(None, (problem, _TO_DO.get(dataset.state)))) or None


def open_report(dataset: Dataset) -> BinaryIO | None:
    """The report of a finished dataset, if this host has it: that file, not what a link leads to; blocks."""
    if dataset.version is None:
        return None
    try:
        file = os.open(DatasetFolder.of(Path(dataset.folder)).report, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return os.fdopen(file, "rb")
    os.close(file)
    return None
