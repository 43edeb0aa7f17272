"""The events of a transcription, one per line of NDJSON, in the order in which they are sent."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from reelscribe.contracts.messages import ReceivedModel
from reelscribe.contracts.speech_without_words import SpeechWithoutWords
from reelscribe.errors import StreamCut

NDJSON = "application/x-ndjson"


def _without_nul(text: str) -> str:
    return text.replace("\0", "")


Spoken = Annotated[str, AfterValidator(_without_nul)]
"""Whisper has a token for each byte, so it can produce NUL, which PostgreSQL cannot store."""


class Word(ReceivedModel):
    """One word; times in seconds from the start of the recording."""

    start: float
    end: float
    word: Spoken
    probability: float


SURE_PROBABILITY = 0.5
"""A language that is detected with less is uncertain, as for faster-whisper (``language_detection_threshold``)."""

UNKNOWN_LANGUAGE = "und"
"""ISO 639's code of a language that is not known."""


class Started(ReceivedModel):
    """The language is known and the model at work. ``duration`` is what the container declares, in seconds; ``etag``
    is of the object.

    ``language`` is ``und`` if the first minutes hold no speech; each segment has its own then. ``vocabulary`` is how
    many words of the request's there was room for, from the first on.
    """

    event: Literal["started"] = "started"
    model: str
    language: str
    language_probability: float
    language_uncertain: bool = Field(default=False, description="detected with a probability below 0.5")
    duration: float | None = None
    etag: str
    vocabulary: int = 0


class Segment(ReceivedModel):
    """A final segment; times in seconds from the start of the recording (not from ``start`` of the request).

    ``language`` is the one detected in its window, if the request was ``multilingual`` or the recording's is ``und``.
    """

    event: Literal["segment"] = "segment"
    index: int
    start: float
    end: float
    text: Spoken
    tokens: list[int]
    words: list[Word] | None = None
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float = 0.0
    language: str | None = None


class Progress(ReceivedModel):
    """Every segment before ``seconds`` of the recording has been sent; a resumed request may ``start`` there.

    Sent after the segments of each window, and at least every 5 s: a stream that is silent for longer is broken.
    ``speech_without_words`` is of all before ``seconds``, null if nothing has been added to it.
    """

    event: Literal["progress"] = "progress"
    seconds: float
    speech_without_words: SpeechWithoutWords | None = None


class Finished(ReceivedModel):
    """The end of a transcript, with the proof of what it covers.

    ``duration`` is the length of the recording; the other seconds are of the part from ``start`` on. ``etag``,
    ``last_modified`` and ``size`` (bytes) are of the object. ``track``, ``track_choice`` and ``remarks`` are those of
    :class:`reelscribe.contracts.extractor.ExtractionReceipt`. ``speech_without_words`` is null if speech was not
    detected (``vad = false``).
    """

    event: Literal["finished"] = "finished"
    duration: float
    segments: int
    declared_seconds: float | None
    delivered_seconds: float
    covered_seconds: float
    samples: int | None
    sha256: str
    etag: str
    last_modified: datetime
    size: int
    extraction_id: str
    complete: bool
    reason: str | None = None
    track: int | None = None
    track_choice: str | None = None
    remarks: list[str] = Field(default_factory=list)
    speech_without_words: SpeechWithoutWords | None = None


class Failed(ReceivedModel):
    """In place of :class:`Finished`."""

    event: Literal["failed"] = "failed"
    code: str
    message: str
    retryable: bool
    details: dict[str, Any] = Field(default_factory=dict)


Event = Annotated[Started | Segment | Progress | Finished | Failed, Field(discriminator="event")]
_event: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(defer_build=True))


def event_line(event: BaseModel) -> bytes:
    """One event as a line of NDJSON."""
    return event.model_dump_json().encode() + b"\n"


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[Event]]:
    """Read events from NDJSON: those that are complete in a chunk of bytes together.

    Raises:
        StreamCut: a line is not an event; a stream that was cut ends with such a line.
    """
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        found: list[Event] = []
        for line in lines:
            if line.strip():
                try:
                    found.append(_event.validate_json(line))
                except ValidationError as invalid:
                    if found:
                        yield found
                    raise _no_event(line) from invalid
        if found:
            yield found
    if rest.strip():
        try:
            last = _event.validate_json(rest)
        except ValidationError as invalid:
            raise _no_event(rest) from invalid
        yield [last]


def _no_event(line: bytes) -> StreamCut:
    return StreamCut(f"the event stream holds a line that is not an event: {line[:100].decode(errors='replace')!r}")
