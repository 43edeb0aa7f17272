"""One page that shows what is in a dataset: counts, distributions, examples that play, and what failed."""

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pyarrow

from orchestrator.exports.dataset.finished.plots import bars, histogram
from orchestrator.exports.dataset.finished.reading import (
    StoredSample,
    manifest_of,
    readable_table,
    samples_in,
    tables_of,
)
from orchestrator.exports.dataset.layout import DatasetFolder

EXAMPLES = 12
SHARDS_WITH_EXAMPLES = 4
LARGEST_EXAMPLE = 3_000_000
"""Bytes; larger samples are not shown."""
MOST_FAILED = 50

DISTRIBUTIONS = {
    "duration": ("Duration", "s"),
    "loudness": ("Loudness", "dBFS"),
    "confidence": ("Confidence", ""),
    "video_seconds": ("Time in the recording", "s"),
}
"""Numbers that are shown as histograms, with a title and a unit."""
GROUPS = {"language": "Language", "label": "Label", "speaker": "Speaker", "split": "Split"}
"""Words that are shown as bars."""
MEDIA = {
    "wav": '<audio controls preload="metadata" src="data:audio/wav;base64,{}"></audio>',
    "flac": '<audio controls preload="metadata" src="data:audio/flac;base64,{}"></audio>',
    "jpg": '<img alt="" src="data:image/jpeg;base64,{}">',
    "png": '<img alt="" src="data:image/png;base64,{}">',
    "webp": '<img alt="" src="data:image/webp;base64,{}">',
    "mp4": '<video controls preload="metadata" src="data:video/mp4;base64,{}"></video>',
}
"""How a file is shown."""

STYLE = Path(__file__).with_name("report.css")


def report(folder: DatasetFolder) -> str:
    """The page, as HTML that needs no other file.

    Raises:
        NoDataset: the folder is none, or cannot be read.
    """
    manifest = manifest_of(folder)
    tables = list(tables_of(folder, manifest))
    index = pyarrow.concat_tables(tables) if tables else None
    title = escape(folder.root.name)
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE.read_text()}</style>',
        f"<h1>{title}</h1><p>{escape(manifest['kind'])}, version {escape(manifest['version'])}</p>",
        _figures(manifest, index),
        _plots(index) if index is not None else "",
        _examples(folder, manifest),
        _failed(folder, manifest),
        _settings(manifest),
        "</html>\n",
    ]
    return "\n".join(parts)


def _figures(manifest: Mapping[str, Any], index: pyarrow.Table | None) -> str:
    recordings = 0 if index is None else len(index["savepath"].unique())
    figures = {
        "samples": f"{manifest['samples']:,}",
        **_length(manifest["seconds"]),
        "recordings": f"{recordings:,}",
        "shards": f"{len(manifest['shards']):,}",
        "MB": f"{manifest['bytes'] / 1e6:,.1f}",
        "without a sample": f"{manifest['failed']:,}",
    }
    shown = "".join(f"<div><b>{value}</b><span>{name}</span></div>" for name, value in figures.items())
    return f'<section class="figures">{shown}</section>'


def _length(seconds: float) -> dict[str, str]:
    if not seconds:
        return {}
    return {"hours": f"{seconds / 3600:,.1f}"} if seconds >= 3600 else {"minutes": f"{seconds / 60:,.1f}"}


def _plots(index: pyarrow.Table) -> str:
    plots = []
    for column, (title, unit) in DISTRIBUTIONS.items():
        numbers = [number for number in _column(index, column) if number is not None]
        if numbers:
            plots.append(_plot(title, histogram(numbers, unit)))
    for column, title in GROUPS.items():
        counts = Counter(str(value) for value in _column(index, column) if value not in (None, ""))
        if counts and (column != "split" or len(counts) > 1):
            plots.append(_plot(title, bars(counts)))
    return f'<h2>Distributions</h2><section class="plots">{"".join(plots)}</section>'


def _column(index: pyarrow.Table, name: str) -> list[Any]:
    found: list[Any] = index[name].to_pylist() if name in index.column_names else []
    return found


def _plot(title: str, svg: str) -> str:
    return f'<div class="plot"><h3>{title}</h3>{svg}</div>'


def _examples(folder: DatasetFolder, manifest: Mapping[str, Any]) -> str:
    shown = "".join(_example(sample) for sample in _chosen(folder, manifest["shards"]))
    return f'<h2>Examples</h2><section class="examples">{shown}</section>' if shown else ""


def _chosen(folder: DatasetFolder, shards: Sequence[Mapping[str, Any]]) -> Iterator[StoredSample]:
    """Some samples of some shards, by chance and always the same."""
    step = max(1, len(shards) // SHARDS_WITH_EXAMPLES)
    of_shards = shards[::step][:SHARDS_WITH_EXAMPLES]
    for entry in of_shards:
        kept: list[tuple[bytes, StoredSample]] = []
        for sample in samples_in(folder.shards / entry["name"]):
            if sum(map(len, sample.files.values())) <= LARGEST_EXAMPLE:
                kept.append((hashlib.sha256(sample.key.encode()).digest(), sample))
                kept = sorted(kept, key=lambda one: one[0])[: EXAMPLES // len(of_shards)]
        yield from (sample for _, sample in kept)


def _example(sample: StoredSample) -> str:
    media = [
        MEDIA[ending].format(b64encode(content).decode()) for ending, content in sample.files.items() if ending in MEDIA
    ]
    record = sample.record
    said = record.get("text") or record.get("label") or ""
    at = next((record[name] for name in ("video_seconds", "start") if record.get(name) is not None), None)
    where = escape(str(record["id"])) + (f", {at:.2f} s" if at is not None else "")
    pictures = sorted(media, key=lambda one: one.startswith("<audio"))
    words = f"<strong>{escape(said)}</strong>" if said else ""
    return f"<figure>{''.join(pictures)}<figcaption>{words}{where}</figcaption></figure>"


def _failed(folder: DatasetFolder, manifest: Mapping[str, Any]) -> str:
    if not manifest["failed"]:
        return ""
    rows = readable_table(folder.failed).slice(0, MOST_FAILED).to_pylist()
    lines = "".join(
        f"<tr><td>{escape(str(row['id']))}</td><td>{escape(row['error_code'])}</td>"
        f"<td>{escape(row['error_message'])}</td></tr>"
        for row in rows
    )
    more = manifest["failed"] - len(rows)
    rest = f"<p>{more:,} more are in {folder.failed.name}.</p>" if more else ""
    return (
        f'<h2>Without a sample</h2><section class="plots">{_plot("Reason", bars(manifest["reasons"]))}</section>'
        f"<table><tr><th>Recording</th><th>Reason</th><th></th></tr>{lines}</table>{rest}"
    )


def _settings(manifest: Mapping[str, Any]) -> str:
    values = {**manifest["selection"], **manifest["settings"]}
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>"
        for name, value in values.items()
        if value not in (None, "", {}, [])
    )
    return f"<h2>Settings</h2><table>{rows}</table><p>{escape(manifest['made_by'])}</p>"
