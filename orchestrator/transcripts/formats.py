"""A transcript as text, as subtitles, as a document to edit, and as rows and documents for programs."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from textwrap import indent
from typing import Any, Literal, Protocol

from orchestrator.transcripts.models import Transcript, TranscriptSegment
from reelscribe.contracts.events import Segment
from reelscribe.text.formats import Format
from reelscribe.text.paragraphs import Paragraph, ParagraphStream
from reelscribe.text.running_text import running_text
from reelscribe.text.srt_vtt import clock, one_line, srt, vtt
from reelscribe.text.subtitle_layout import Cue, CueStream


def text(segments: Iterable[Segment], timestamps: bool = False) -> str:
    """One line per segment, with ``[start --> end]`` before it if timestamps are wanted."""
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
    """One row per segment, each with what is known of its transcript; ``edited_by`` is the person who wrote it."""
    job = transcript.job
    shared = {
        "bucket": job.bucket,
        "savepath": job.savepath,
        "title": job.title,
        "job": job.id,
        "model": job.model,
        "complete": job.complete,
        "last_modified": transcript.last_modified,
        "finished_at": job.finished_at,
    }
    for segment in transcript.segments:
        yield {
            **shared,
            **segment.model_dump(exclude={"event", "edited"}),
            "language": segment.language or job.language,
            "edited_by": segment.edited.author if segment.edited else None,
        }


def render(transcript: Transcript, wanted: Format, timestamps: bool = False) -> bytes:
    """The complete transcript in a format; ``timestamps`` is for ``txt``, ``paragraphs`` and ``docx``."""
    writer = make_writer(transcript, wanted, timestamps)
    return writer.begin(plain_text(transcript.segments)) + writer.add(transcript.segments) + writer.end()


def plain_text(segments: Iterable[Segment]) -> str:
    """What is said, in one line."""
    return running_text(one_line(segment.text) for segment in segments)


class Writer(Protocol):
    """Writes a transcript part by part, so that it is never all in memory: begin, add segments, end."""

    def begin(self, said: str) -> bytes:
        """What comes before the segments; ``said`` is the :func:`plain_text` of all of them."""

    def add(self, segments: Sequence[TranscriptSegment]) -> bytes:
        """The next segments, as far as they are decided."""

    def end(self) -> bytes:
        """What comes after them."""


def make_writer(transcript: Transcript, wanted: Format, timestamps: bool = False) -> Writer:
    """The writer of a format. Of the transcript it takes all but the segments, which are added to it."""
    match wanted:
        case Format.DOCX:
            from orchestrator.transcripts.word_document import WordDocument  # a library that no other format needs

            return WordDocument(transcript, timestamps)
        case Format.JSON:
            return _Encoded(_Document(transcript))
        case Format.JSONL:
            return _Encoded(_Rows(transcript))
        case Format.SRT | Format.VTT:
            return _Encoded(_Subtitles(wanted, transcript.text_language))
        case Format.TSV:
            return _Encoded(_Table())
        case Format.TXT:
            return _Encoded(_Lines(timestamps))
        case Format.PARAGRAPHS:
            return _Encoded(_Paragraphs(timestamps))


class _TextWriter(ABC):
    def begin(self, said: str) -> str:
        return ""

    @abstractmethod
    def add(self, segments: Sequence[TranscriptSegment]) -> str: ...

    def end(self) -> str:
        return ""


class _Encoded(Writer):
    def __init__(self, writer: _TextWriter) -> None:
        self._writer = writer

    def begin(self, said: str) -> bytes:
        return self._writer.begin(said).encode()

    def add(self, segments: Sequence[TranscriptSegment]) -> bytes:
        return self._writer.add(segments).encode()

    def end(self) -> bytes:
        return self._writer.end().encode()


class _Lines(_TextWriter):
    def __init__(self, timestamps: bool) -> None:
        self._timestamps = timestamps

    def add(self, segments: Sequence[TranscriptSegment]) -> str:
        return text(segments, self._timestamps)


class _Paragraphs(_TextWriter):
    def __init__(self, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._paragraphs = ParagraphStream()
        self._separator = ""

    def add(self, segments: Sequence[TranscriptSegment]) -> str:
        return self._write(self._paragraphs.add(segments))

    def end(self) -> str:
        return self._write(self._paragraphs.end())

    def _write(self, paragraphs: Sequence[Paragraph]) -> str:
        written = ""
        for paragraph in paragraphs:
            time = f"[{clock(paragraph.start)}] " if self._timestamps else ""
            written += f"{self._separator}{time}{paragraph.text}\n"
            self._separator = "\n"
        return written


class _Table(_TextWriter):
    def begin(self, said: str) -> str:
        return tsv([])

    def add(self, segments: Sequence[TranscriptSegment]) -> str:
        return tsv(segments).removeprefix(tsv([]))


class _Subtitles(_TextWriter):
    def __init__(self, wanted: Literal[Format.SRT, Format.VTT], language: str) -> None:
        self._wanted = wanted
        self._cues = CueStream(language)
        self._written = 0

    def begin(self, said: str) -> str:
        return vtt([]) if self._wanted is Format.VTT else ""

    def add(self, segments: Sequence[TranscriptSegment]) -> str:
        return self._write(self._cues.add(segments))

    def end(self) -> str:
        return self._write(self._cues.end())

    def _write(self, cues: Sequence[Cue]) -> str:
        first, self._written = self._written + 1, self._written + len(cues)
        return srt(cues, first) if self._wanted is Format.SRT else vtt(cues).removeprefix(vtt([]))


class _Rows(_TextWriter):
    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript

    def add(self, segments: Sequence[TranscriptSegment]) -> str:
        made = rows(self._transcript.model_copy(update={"segments": segments}))
        return "".join(json.dumps(row, ensure_ascii=False, default=datetime.isoformat) + "\n" for row in made)


class _Document(_TextWriter):
    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._separator = "\n"

    def begin(self, said: str) -> str:
        about = {**_about(self._transcript), "text": said}
        return json.dumps(about, ensure_ascii=False, indent=2).removesuffix("\n}") + ',\n  "segments": ['

    def add(self, segments: Sequence[TranscriptSegment]) -> str:
        written = ""
        for segment in segments:
            shown = json.dumps(segment.model_dump(mode="json", exclude={"event"}), ensure_ascii=False, indent=2)
            written += self._separator + indent(shown, "    ")
            self._separator = ",\n"
        return written

    def end(self) -> str:
        return "]\n}\n" if self._separator == "\n" else "\n  ]\n}\n"


def _about(transcript: Transcript) -> dict[str, Any]:
    """Everything known of a transcript but its words, ready for JSON."""
    job = transcript.job.model_dump(mode="json")
    return {
        **{key: job[key] for key in ("id", "bucket", "savepath", "title", "options", "model", "language")},
        **{key: job[key] for key in ("language_probability", "language_uncertain")},
        "duration": job["declared_seconds"],
        "created_at": job["created_at"],
        "finished_at": job["finished_at"],
        "revision": job["revision"],
        "as_heard": transcript.as_heard,
        "receipt": transcript.receipt.model_dump(mode="json"),
    }
