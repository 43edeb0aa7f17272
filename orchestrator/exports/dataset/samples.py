"""What a sample consists of: files under one key, and a record with the same fields of the same types in every sample.

Loaders take the types from the first samples. So a number that may have a fraction is written with one (``5.0``), no
field is left out, and a field is null in all samples or in none.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.exports.dataset.plan import DatasetKind, Item, PlanSettings

FieldType = type[str] | type[int] | type[float] | type[bool]

_OF_ALL: dict[str, FieldType] = {
    "key": str,
    "id": str,
    "bucket_name": str,
    "savepath": str,
    "etag": str,
    "split": str,
    "label": str,
    "speaker": str,
}
_OF_SOUND: dict[str, FieldType] = {
    "audio_start_sample": int,
    "audio_samples": int,
    "sample_rate": int,
    "channels": int,
    "loudness": float,
}
_OF_FRAMES: dict[str, FieldType] = {
    "asked_seconds": float,
    "video_pts": int,
    "video_time_base": str,
    "video_seconds": float,
    "video_start_pts": int,
    "width": int,
    "height": int,
    "rotation": int,
    "transfer": str,
    "tone_mapped": bool,
}
FIELDS: Mapping[DatasetKind, dict[str, FieldType]] = {
    "speech": {
        **_OF_ALL,
        "text": str,
        "language": str,
        "confidence": float,
        "start": float,
        "duration": float,
        **_OF_SOUND,
    },
    "frames": {**_OF_ALL, **_OF_FRAMES},
    "pairs": {
        **_OF_ALL,
        **_OF_FRAMES,
        "audio_seconds": float,
        **_OF_SOUND,
        "padded_before": int,
        "padded_after": int,
    },
    "clips": {
        **_OF_ALL,
        "start": float,
        "duration": float,
        "video_pts": int,
        "video_time_base": str,
        "frames": int,
        "width": int,
        "height": int,
        **_OF_SOUND,
    },
}
"""Of the record of a sample of each kind, in their order."""

OUTCOME: dict[str, FieldType] = {"status": str, "error_code": str, "error_message": str}
"""Further columns of an index, with img2dataset's names: of a sample, the last two are null."""
PLACE: dict[str, FieldType] = {"shard": str, "bytes": int, "sha256": str}
"""Further columns of an index: where a sample is, and the length and hash of its files without the record."""


RECORD = "json"
"""What follows the dot in the name of a record; it is the last file of each sample."""


class Sample(NamedTuple):
    """Files by what follows the dot in their names, and the values of the record that only this sample has."""

    key: str
    files: Mapping[str, bytes]
    values: Mapping[str, Any]


class Missing(NamedTuple):
    """What gives no sample, and why; ``start`` in seconds if it is a part of the recording."""

    start: float | None
    code: str
    message: str


def record(plan: PlanSettings, split: str, item: Item, sample: Sample) -> dict[str, Any]:
    """The record of a sample, complete and in order."""
    values = {
        **sample.values,
        "key": sample.key,
        "id": item.id,
        "bucket_name": item.bucket,
        "savepath": item.savepath,
        "split": split,
        "label": (item.label or "") if plan.with_labels else None,
        "speaker": (item.speaker or "") if plan.with_speakers else None,
    }
    fields = FIELDS[plan.kind]
    return {name: None if (value := values.get(name)) is None else type(value) for name, type in fields.items()}


def failed_row(plan: PlanSettings, split: str, item: Item, missing: Missing) -> dict[str, Any]:
    """A row of what gave no sample, with the columns of all kinds."""
    return {
        "key": item.key,
        "id": item.id,
        "bucket_name": item.bucket,
        "savepath": item.savepath,
        "split": split,
        "label": item.label,
        "speaker": item.speaker,
        "start": item.start if missing.start is None else missing.start,
        "status": "failed",
        "error_code": missing.code,
        "error_message": missing.message,
    }


FAILED: dict[str, FieldType] = {
    **{name: str for name in ("key", "id", "bucket_name", "savepath", "split", "label", "speaker")},
    "start": float,
    **OUTCOME,
}
"""The columns of ``failed.parquet``."""


def as_json(value: Mapping[str, Any]) -> bytes:
    """One object, the same bytes for the same values."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode()
