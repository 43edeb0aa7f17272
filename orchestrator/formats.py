"""A transcript as text, as subtitles, and as rows and documents for programs."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal

from machine.errors import UnsupportedFormat
from machine.subtitles import clock, one_line, srt, vtt
from machine.wire import Segment
from orchestrator.jobs import Transcript
from orchestrator.subtitles import cues

Format = Literal["txt", "srt", "vtt", "tsv", "json", "jsonl"]
FORMATS: tuple[Format, ...] = ("txt", "srt", "vtt", "tsv", "json", "jsonl")
CONTENT_TYPES: dict[Format, str] = {
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "jsonl": "application/x-ndjson",
}


def parse_format(name: str) -> Format:
    """The format of this name.

    Raises:
        UnsupportedFormat: there is none; the sentence names those there are.
    """
    for known in FORMATS:
        if known == name:
            return known
    raise UnsupportedFormat(f"format {name!r} is not offered; take one of {', '.join(FORMATS)}", allowed=list(FORMATS))


def text(segments: Iterable[Segment], timestamps: bool = False) -> str:
    """One segment a line, with ``[start --> end]`` before it where timestamps are wanted."""
    return "".join(
        (f"[{clock(segment.start)} --> {clock(segment.end)}] " if timestamps else "") + one_line(segment.text) + "\n"
        for segment in segments
    )


def tsv(segments: Iterable[Segment]) -> str:
    """A table of start, end (both in milliseconds) and text, as Whisper's own command writes it."""
    return "start\tend\ttext\n" + "".join(
        f"{round(segment.start * 1000)}\t{round(segment.end * 1000)}\t{one_line(segment.text)}\n"
        for segment in segments
    )


def rows(transcript: Transcript) -> Iterator[dict[str, Any]]:
    """One row a segment, each with what is to be known of its transcript."""
    job = transcript.job
    shared = {
        "bucket": job.bucket,
        "savepath": job.savepath,
        "job": job.id,
        "model": job.model,
        "language": job.language,
        "complete": job.complete,
        "last_modified": transcript.last_modified,
        "finished_at": job.finished_at,
    }
    for segment in transcript.segments:
        yield {**shared, **segment.model_dump(exclude={"event"})}


def jsonl(transcript: Transcript) -> str:
    """One JSON object a segment."""
    return "".join(json.dumps(row, ensure_ascii=False, default=datetime.isoformat) + "\n" for row in rows(transcript))


def render(transcript: Transcript, wanted: Format, timestamps: bool = False) -> str:
    """The transcript in one of :data:`FORMATS`; ``timestamps`` is for ``txt``."""
    if wanted == "json":
        return json.dumps(document(transcript), ensure_ascii=False, indent=2) + "\n"
    if wanted == "jsonl":
        return jsonl(transcript)
    if wanted == "srt":
        return srt(cues(transcript.segments))
    if wanted == "vtt":
        return vtt(cues(transcript.segments))
    if wanted == "tsv":
        return tsv(transcript.segments)
    return text(transcript.segments, timestamps)


def document(transcript: Transcript) -> dict[str, Any]:
    """Everything known of a transcript, ready for JSON."""
    job = transcript.job.model_dump(mode="json")
    return {
        **{key: job[key] for key in ("id", "bucket", "savepath", "options", "model", "language")},
        "language_probability": job["language_probability"],
        "duration": job["declared_seconds"],
        "created_at": job["created_at"],
        "finished_at": job["finished_at"],
        "receipt": transcript.receipt.model_dump(mode="json"),
        "text": " ".join(one_line(segment.text) for segment in transcript.segments),
        "segments": [segment.model_dump(mode="json", exclude={"event"}) for segment in transcript.segments],
    }
