"""What travels between the machines: requests, receipts and events, as strict models, and NDJSON."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from machine.errors import StreamCut

NDJSON = "application/x-ndjson"

AudioFormat = Literal["mp3", "wav", "flac", "source"]
MP3_SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""What MPEG-1, 2 and 2.5 Layer III can hold, in Hz (ISO/IEC 11172-3, 13818-3)."""

Priority = Literal["interactive", "batch"]
PRIORITY = "who goes first where several recordings wait for a place, or for the model"

Savepath = Annotated[str, Field(min_length=1, max_length=1024, examples=["youtube/abc123.mp4"])]
Language = Annotated[str, Field(min_length=2, max_length=3, pattern=r"^[A-Za-z]*$", examples=["en"])]
NonNegativeSeconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
VadThreshold = Annotated[float, Field(ge=0.05, le=0.95)]
PauseMilliseconds = Annotated[int, Field(ge=0, le=5000)]
PadMilliseconds = Annotated[int, Field(ge=0, le=1000)]

HINT_CHARACTERS = 2000
"""Longest hint to the model; it takes in a few hundred tokens."""


class WireModel(BaseModel):
    """A message: frozen, strictly typed, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


class ReceivedModel(WireModel):
    """A message from another machine, which may be newer than this one: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")


def _video_path_for_savepath(schema: dict[str, Any]) -> None:
    schema["required"].remove("savepath")
    schema["properties"]["video_path"] = {**schema["properties"]["savepath"], "title": "Video Path", "deprecated": True}
    schema["oneOf"] = [{"required": ["savepath"]}, {"required": ["video_path"]}]


class ExtractAudioRequest(WireModel):
    """Body of Machine C's ``POST /extract-audio``. ``video_path`` is accepted for ``savepath``."""

    model_config = ConfigDict(json_schema_extra=_video_path_for_savepath)

    savepath: Savepath
    bucket_name: str | None = Field(default=None, description="default: config's bucket_name")
    audio_format: AudioFormat | None = Field(default=None, description="default: config's default_audio_format")
    bitrate_kbps: int = Field(default=320, ge=128, le=320, description="mp3 only")
    sample_rate: int | None = Field(default=None, ge=8000, le=192_000, description="Hz; default: the source's")
    channels: int | None = Field(default=None, ge=1, le=2, description="default: the source's")
    start: NonNegativeSeconds = Field(default=0.0, description="seconds")
    duration: float | None = Field(default=None, gt=0, le=1e7, allow_inf_nan=False, description="seconds")
    track: int | None = Field(default=None, ge=0, le=255, description="audio stream; default: the container's")
    delivery: Literal["stream", "file"] = Field(
        default="stream", description="stream: as ffmpeg makes it; file: finished first, with exact headers and ranges"
    )
    allow_incomplete: bool = Field(default=False, description="accept a stored file that is cut")

    @model_validator(mode="before")
    @classmethod
    def _accept_video_path(cls, data: Any) -> Any:
        if isinstance(data, dict) and "video_path" in data:
            if "savepath" in data:
                raise ValueError("give savepath or video_path, not both")
            data = {**data, "savepath": data["video_path"]}
            del data["video_path"]
        return data

    @model_validator(mode="after")
    def _mp3_sample_rate(self) -> "ExtractAudioRequest":
        if self.audio_format == "mp3" and self.sample_rate and self.sample_rate not in MP3_SAMPLE_RATES:
            raise ValueError(f"mp3 has the sample rates {', '.join(map(str, MP3_SAMPLE_RATES))} Hz only")
        return self


class ErrorObject(ReceivedModel):
    """A :class:`machine.errors.MachineError` as JSON; its details are extra fields."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str
    retryable: bool


class RequestError(ErrorObject):
    """The error object of an answer."""

    request_id: str


class ErrorAnswer(ReceivedModel):
    """Every answer that is no success."""

    error: RequestError


class Health(ReceivedModel):
    """Answer of ``GET /healthz``; each machine adds fields of its own."""

    model_config = ConfigDict(extra="allow")

    machine: str
    status: Literal["ok", "stopping", "broken"]


class ExtractionReceipt(ReceivedModel):
    """What one extraction delivered, from ``GET /extractions/{id}``.

    Attributes:
        last_modified, size: of the object; size in bytes.
        state: ``running``; ``complete``: all that the container declares came out; ``incomplete``: less did, and the
            request allowed that; ``failed``: the body was cut, or never began.
        reason: why it is not complete.
        error: of a failed extraction, the error object that its client could no longer be told.
        declared_seconds: length of the requested part by the container; None where it declares none.
        delivered_seconds: length of the audio in the body.
        samples: samples of one channel in the body; None for ``source``.
        sha256: of the whole body.
        decode_warnings: lines of ffmpeg about damaged packets.
    """

    extraction_id: str
    savepath: str
    bucket_name: str
    etag: str
    last_modified: datetime | None = None
    size: int | None = None
    audio_format: AudioFormat
    state: Literal["running", "complete", "incomplete", "failed"] = "running"
    reason: str | None = None
    error: ErrorObject | None = None
    declared_seconds: float | None = None
    delivered_seconds: float = 0.0
    samples: int | None = None
    bytes: int = 0
    sha256: str | None = None
    decode_warnings: int = 0


class ProbeQuery(WireModel):
    """Query of Machine C's ``GET /probe``."""

    savepath: Savepath
    bucket_name: str | None = None


class ObjectsQuery(WireModel):
    """Query of Machine C's ``GET /objects``: savepaths that start with ``prefix`` and come after ``after``."""

    prefix: str = Field(default="", max_length=1024)
    after: str = Field(default="", max_length=1024)
    limit: int = Field(default=1000, ge=1, le=1000)
    bucket_name: str | None = None


class ProbedStream(ReceivedModel):
    """One stream of a recording; ``duration`` in seconds and ``sample_rate`` in Hz where they are known."""

    index: int
    kind: str
    codec: str
    language: str | None
    default: bool
    duration: float | None
    sample_rate: int | None
    channels: int | None


class ProbeResult(ReceivedModel):
    """Answer of Machine C's ``GET /probe``: what a recording holds; ``duration`` in seconds, None if not declared."""

    savepath: str
    bucket_name: str
    size: int
    last_modified: datetime
    etag: str
    container: str
    duration: float | None
    streams: list[ProbedStream]


class ListedObject(ReceivedModel):
    """One object of a bucket; where its bytes cannot be read, ``reason`` says why and the rest is None."""

    savepath: str
    size: int | None = None
    last_modified: datetime | None = None
    etag: str | None = None
    reason: str | None = None


class ObjectPage(ReceivedModel):
    """Answer of Machine C's ``GET /objects``; ``next`` is the ``after`` of the next page, None on the last one."""

    objects: list[ListedObject]
    next: str | None


class TranscribeOptions(WireModel):
    """How to transcribe a recording, whichever it is."""

    track: int | None = Field(default=None, ge=0, le=255)
    language: Language | None = Field(default=None, description="default: detected")
    task: Literal["transcribe", "translate"] = "transcribe"
    mode: Literal["batched", "sequential"] = "batched"
    multilingual: bool = Field(default=False, description="detect the language of each window again")
    vad: bool = Field(default=True, description="leave out what Silero VAD judges silent")
    vad_threshold: VadThreshold = Field(default=0.5, description="probability from which it is speech")
    vad_min_silence_duration_ms: PauseMilliseconds | None = Field(
        default=None, description="a shorter silence is no pause; if not given 160, and 2000 in sequential mode"
    )
    vad_speech_pad_ms: PadMilliseconds = Field(default=400, description="kept on both sides of speech")
    beam_size: int = Field(default=5, ge=1, le=10, description="1 is fastest")
    word_timestamps: bool = False
    max_segment_seconds: float = Field(default=15.0, ge=1, le=30, description="a longer segment is split between words")
    initial_prompt: str | None = Field(default=None, max_length=HINT_CHARACTERS)
    hotwords: str | None = Field(default=None, max_length=HINT_CHARACTERS)
    condition_on_previous_text: bool = Field(default=True, description="sequential mode only")
    allow_incomplete: bool = False

    @model_validator(mode="after")
    def _without_contradictions(self) -> "TranscribeOptions":
        if self.multilingual and self.language is not None:
            raise ValueError("multilingual: it detects the language of each window; leave out language")
        if not self.vad:
            for name in ("vad_threshold", "vad_min_silence_duration_ms", "vad_speech_pad_ms"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name}: it has no effect with vad = false; leave it out, or vad = false")
        return self


class TranscribeFields(TranscribeOptions):
    """Everything in a request to Machine B's ``POST /transcribe`` but the recording."""

    start: NonNegativeSeconds = Field(default=0.0, description="seconds of the recording to skip")
    priority: Priority = Field(default="interactive", description=PRIORITY)


class TranscribeRequest(TranscribeFields):
    """Body of ``POST /transcribe`` for a recording of the bucket; an upload is a form of ``file`` and the fields."""

    savepath: Savepath
    bucket_name: str | None = None
    priority: Priority = Field(default="batch", description=PRIORITY)


def _without_nul(text: str) -> str:
    return text.replace("\0", "")


Spoken = Annotated[str, AfterValidator(_without_nul)]
"""Whisper has a token for each byte, so it can say NUL, which PostgreSQL cannot store."""


class Word(ReceivedModel):
    """One word; times in seconds from the start of the recording."""

    start: float
    end: float
    word: Spoken
    probability: float


class Started(ReceivedModel):
    """The language is known and the model at work. ``duration`` is what the container declares, in seconds; ``etag``
    is of the object, where Machine C tells it.
    """

    event: Literal["started"] = "started"
    model: str
    language: str
    language_probability: float
    duration: float | None = None
    etag: str | None = None


class Segment(ReceivedModel):
    """A final segment; times in seconds from the start of the recording (not from ``start`` of the request).

    ``language`` is the one in which it was heard, if the request was ``multilingual``.
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

    Sent after the segments of each window, and at least every 5 s: silence means death.
    """

    event: Literal["progress"] = "progress"
    seconds: float


class Finished(ReceivedModel):
    """The end of a transcript, with the proof of what it covers.

    ``duration`` is the length of the recording; the other seconds are of the part from ``start`` on. ``last_modified``
    and ``size`` (bytes) are of the object, where Machine C tells them.
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
    last_modified: datetime | None = None
    size: int | None = None
    extraction_id: str
    complete: bool
    reason: str | None = None


class Failed(ReceivedModel):
    """In place of :class:`Finished`."""

    event: Literal["failed"] = "failed"
    code: str
    message: str
    retryable: bool
    details: dict[str, Any] = {}


Event = Annotated[Started | Segment | Progress | Finished | Failed, Field(discriminator="event")]
_event: TypeAdapter[Event] = TypeAdapter(Event)


def event_line(event: BaseModel) -> bytes:
    """One event as a line of NDJSON."""
    return event.model_dump_json().encode() + b"\n"


async def events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """Read events from lines of NDJSON.

    Raises:
        StreamCut: a line is no event, which is what a cut stream leaves behind.
    """
    async for line in lines:
        if line.strip():
            try:
                yield _event.validate_json(line)
            except ValidationError as invalid:
                raise StreamCut(f"the event stream holds a line that is no event: {line[:100]!r}") from invalid
