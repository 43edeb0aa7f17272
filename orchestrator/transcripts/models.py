"""A transcript: its job, its segments, and the receipt that proves what it covers."""

from datetime import datetime

from pydantic import Field

from orchestrator.jobs.models import Job, Record
from orchestrator.jobs.vocabulary import UsedVocabulary
from reelscribe.contracts.events import UNKNOWN_LANGUAGE, Segment
from reelscribe.contracts.speech_without_words import SpeechWithoutWords


class ReceiptPart(Record):
    """What one attempt covered: ``covered_seconds`` from ``start_seconds`` on. One that was cut has no sums.

    ``etag``, ``last_modified`` and ``size`` (bytes) are those of the object; the last two are None if the attempt
    was cut, as are ``track`` and ``track_choice``. ``segments`` is how many the transcriber says it sent at the end.
    """

    attempt: int
    start_seconds: float
    declared_seconds: float | None
    delivered_seconds: float | None
    covered_seconds: float | None
    samples: int | None
    sha256: str | None
    etag: str | None
    last_modified: datetime | None
    size: int | None
    extraction_id: str | None
    segments: int | None = None
    track: int | None = None
    track_choice: str | None = None
    remarks: list[str] = Field(default_factory=list)
    speech_without_words: SpeechWithoutWords | None = None
    vocabulary: UsedVocabulary | None = None


class Receipt(Record):
    """The proof of what a transcript covers, in seconds from the start of the recording.

    Attributes:
        samples: of one channel, and
        sha256: of the audio, if it was transcribed in one part; else the parts have their own.
        track: which audio track was transcribed, as in a request, and
        track_choice: why that one.
        remarks: what a reader should know although nothing is missing, such as joined recordings or holes.
        speech_without_words: None if speech was not detected (``vad = false``).
        vocabulary: the words to expect that the last part was transcribed with; each part has its own.
        parts: one for each attempt that made progress.
    """

    declared_seconds: float | None
    delivered_seconds: float | None
    covered_seconds: float | None
    samples: int | None
    sha256: str | None
    complete: bool
    reason: str | None
    track: int | None
    track_choice: str | None
    remarks: list[str]
    speech_without_words: SpeechWithoutWords | None
    vocabulary: UsedVocabulary | None = None
    parts: list[ReceiptPart]

    @classmethod
    def of(cls, job: Job, parts: list[ReceiptPart]) -> "Receipt":
        """The sum of the parts: each begins where all before it is stored. Attempts without progress are none."""
        last = parts[-1]
        parts = [part for part in parts if part.covered_seconds or part is last]
        only = last if len(parts) == 1 else None

        def from_zero(seconds: float | None) -> float | None:
            return None if seconds is None else round(last.start_seconds + seconds, 6)

        return cls(
            declared_seconds=from_zero(last.declared_seconds),
            delivered_seconds=from_zero(last.delivered_seconds),
            covered_seconds=from_zero(last.covered_seconds),
            samples=only.samples if only else None,
            sha256=only.sha256 if only else None,
            complete=bool(job.complete),
            reason=job.reason,
            track=last.track,
            track_choice=last.track_choice,
            remarks=list(dict.fromkeys(remark for part in parts for remark in part.remarks)),
            speech_without_words=job.speech_without_words,
            vocabulary=last.vocabulary,
            parts=parts,
        )


class SegmentEdit(Record):
    """Who wrote a segment, and when; ``revision`` is that of the edit."""

    revision: int
    author: str
    made_at: datetime


class TranscriptSegment(Segment):
    """A segment as readers see it; ``edited`` is None if no person wrote it."""

    edited: SegmentEdit | None = None


class Transcript(Record):
    """A finished job with its complete text; ``as_heard``: that of the model, whatever was edited since."""

    job: Job
    receipt: Receipt
    segments: list[TranscriptSegment]
    as_heard: bool = False

    @property
    def last_modified(self) -> datetime | None:
        """Of the object that was transcribed, if the extractor reported it."""
        return next((part.last_modified for part in reversed(self.receipt.parts) if part.last_modified), None)

    @property
    def text_language(self) -> str:
        """Of its text, which may be a translation."""
        return "en" if self.job.options.get("task") == "translate" else self.job.language or UNKNOWN_LANGUAGE
