"""A transcript as text, as subtitles, and as JSON."""

import html
import json
from collections.abc import Iterable
from typing import Any, Literal

from machine.errors import UnsupportedFormat
from machine.wire import Segment
from orchestrator.jobs import Transcript

Format = Literal["txt", "srt", "vtt", "json"]
FORMATS: tuple[Format, ...] = ("txt", "srt", "vtt", "json")
CONTENT_TYPES: dict[Format, str] = {
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "json": "application/json; charset=utf-8",
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
        (f"[{clock(segment.start)} --> {clock(segment.end)}] " if timestamps else "") + _line(segment.text) + "\n"
        for segment in segments
    )


def srt(segments: Iterable[Segment]) -> str:
    """SubRip subtitles."""
    return "".join(
        f"{number}\n{clock(segment.start, ',')} --> {clock(segment.end, ',')}\n"
        # SubRip cannot escape its arrow, and some players take a text that holds one for a new cue.
        f"{_line(segment.text).replace('-->', '->')}\n\n"
        for number, segment in enumerate(segments, start=1)
    )


def vtt(segments: Iterable[Segment]) -> str:
    """WebVTT subtitles."""
    return "WEBVTT\n\n" + "".join(
        f"{clock(segment.start)} --> {clock(segment.end)}\n{html.escape(_line(segment.text), quote=False)}\n\n"
        for segment in segments
    )


def render(transcript: Transcript, wanted: Format, timestamps: bool = False) -> str:
    """The transcript in one of :data:`FORMATS`; ``timestamps`` is for ``txt``."""
    if wanted == "json":
        return json.dumps(document(transcript), ensure_ascii=False, indent=2) + "\n"
    if wanted == "srt":
        return srt(transcript.segments)
    if wanted == "vtt":
        return vtt(transcript.segments)
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
        "text": " ".join(_line(segment.text) for segment in transcript.segments),
        "segments": [segment.model_dump(mode="json", exclude={"event"}) for segment in transcript.segments],
    }


def clock(seconds: float, separator: str = ".") -> str:
    """``HH:MM:SS.mmm``, rounded to the nearest millisecond."""
    milliseconds = max(0, round(seconds * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{separator}{rest % 1000:03}"


def _line(text: str) -> str:
    """The text on one line: an empty line would end a subtitle."""
    return " ".join(text.split())
