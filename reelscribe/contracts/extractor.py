"""The extractor's requests and answers."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from reelscribe.contracts.messages import (
    MOST_SECONDS,
    SHORTEST_SECONDS,
    ErrorObject,
    NonNegativeSeconds,
    ReceivedModel,
    Savepath,
    WireModel,
)

AudioFormat = Literal["mp3", "wav", "flac", "source"]
MP3_SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""What MPEG-1, 2 and 2.5 Layer III can hold, in Hz (ISO/IEC 11172-3, 13818-3)."""


def _video_path_for_savepath(schema: dict[str, Any]) -> None:
    schema["required"].remove("savepath")
    schema["properties"]["video_path"] = {**schema["properties"]["savepath"], "title": "Video Path", "deprecated": True}
    schema["oneOf"] = [{"required": ["savepath"]}, {"required": ["video_path"]}]


class ExtractAudioRequest(WireModel):
    """Body of the extractor's ``POST /extract-audio``. ``video_path`` is accepted for ``savepath``."""

    model_config = ConfigDict(json_schema_extra=_video_path_for_savepath)

    savepath: Savepath
    bucket_name: str | None = Field(default=None, description="default: config's bucket_name")
    audio_format: AudioFormat | None = Field(default=None, description="default: config's default_audio_format")
    bitrate_kbps: int = Field(
        default=320, ge=128, le=320, description="mp3 only; the nearest that its sample rate has is used"
    )
    sample_rate: int | None = Field(default=None, ge=8000, le=192_000, description="Hz; default: the source's")
    channels: Literal[1, 2, "all"] | None = Field(
        default=None, description="1, 2: mix down; all: as stored; default: as stored, but mp3 has two at most"
    )
    channel: int | None = Field(default=None, ge=0, le=63, description="only this one of its channels; default: all")
    start: NonNegativeSeconds = Field(default=0.0, description="seconds")
    duration: float | None = Field(
        default=None, ge=SHORTEST_SECONDS, le=MOST_SECONDS, allow_inf_nan=False, description="seconds"
    )
    track: int | None = Field(default=None, ge=0, le=255, description="audio stream; default: the container's")
    delivery: Literal["stream", "file", "kept"] = Field(
        default="stream",
        description="stream: as ffmpeg makes it; file: finished first, with exact headers and ranges; "
        "kept: as file, but the answer is its receipt, and Content-Location says where the audio is",
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

    @field_validator("channels", mode="before")
    @classmethod
    def _true_is_not_one(cls, channels: Any) -> Any:
        if isinstance(channels, bool):
            raise ValueError("must be 1, 2 or 'all'")
        return channels

    @model_validator(mode="after")
    def _mp3_sample_rate(self) -> Self:
        if self.audio_format == "mp3" and self.sample_rate and self.sample_rate not in MP3_SAMPLE_RATES:
            raise ValueError(f"mp3 can only have one of the sample rates {', '.join(map(str, MP3_SAMPLE_RATES))} Hz")
        return self

    @model_validator(mode="after")
    def _one_channel_is_mono(self) -> Self:
        if self.channel is not None and self.channels not in (None, 1):
            raise ValueError(f"channel is one channel, and channels = {self.channels} asks for more; leave out one")
        if self.channel is not None and self.audio_format == "source":
            raise ValueError("channel: source has all channels of the track as stored; take wav, flac or mp3")
        return self


class ExtractionReceipt(ReceivedModel):
    """What one extraction delivered, from ``GET /extractions/{id}``.

    Attributes:
        etag, last_modified, size: of the object; size in bytes.
        state: ``complete``: all that the container declares was delivered; ``incomplete``: less was, and the request
            allowed that; ``failed``: the body was cut, or never began.
        reason: why it is not complete.
        error: of a failed extraction, the error object that could no longer be sent to its client.
        declared_seconds: length of the requested part as the container declares it; None if it declares none.
        delivered_seconds: length of the audio in the body.
        begins: time in the recording of the first sound in the body, in seconds: ``start``, but for ``source`` the
            first packet's.
        samples: samples of one channel in the body; None for ``source``.
        decoded_samples, discarded_samples, added_samples: what ``samples`` consists of: those that were decoded, less
            those outside the requested part, and silence where the recording has no sound.
        bitrate_kbps: of an mp3, the one that was used: its list has few; None of other formats.
        bytes, sha256: of the whole body.
        decode_warnings: lines of ffmpeg about damaged packets.
        track: which audio track was extracted, as in a request.
        track_choice: why that one.
        remarks: what a reader should know although nothing is missing, such as joined recordings or holes.
    """

    extraction_id: str
    savepath: str
    bucket_name: str
    etag: str
    last_modified: datetime
    size: int
    audio_format: AudioFormat
    state: Literal["complete", "incomplete", "failed"]
    reason: str | None = None
    error: ErrorObject | None = None
    declared_seconds: float | None = None
    delivered_seconds: float
    begins: float | None = None
    samples: int | None = None
    decoded_samples: int | None = None
    discarded_samples: int | None = None
    added_samples: int | None = None
    bitrate_kbps: int | None = None
    bytes: int
    sha256: str
    decode_warnings: int
    track: int | None = None
    track_choice: str | None = None
    remarks: list[str] = Field(default_factory=list)


class ProbeQuery(WireModel):
    """Query of the extractor's ``GET /probe``."""

    savepath: Savepath
    bucket_name: str | None = None


class ObjectQuery(ProbeQuery):
    """Query of the extractor's ``GET /object``."""


class ObjectsQuery(WireModel):
    """Query of the extractor's ``GET /objects``: savepaths that start with ``prefix`` and come after ``after``."""

    prefix: str = Field(default="", max_length=1024)
    after: str = Field(default="", max_length=1024)
    limit: int = Field(default=1000, ge=1, le=1000)
    bucket_name: str | None = None


class ProbedStream(ReceivedModel):
    """One stream of a recording; a field is None if it is unknown.

    Attributes:
        index: ffmpeg's number of it among all streams.
        kind: ``audio``, ``video``, ``subtitle``, ``data``, ``attachment`` or ``unknown``.
        codec: as ffmpeg names it.
        decodable: whether ffmpeg can decode it; None if it is not audio.
        language: as stored, such as ``pt-BR``.
        title: its first 100 characters.
        default: it is marked as the default of its kind.
        duration: seconds.
        sample_rate: Hz.
        channels: how many.
        layout: what the channels are, such as ``5.1(side)``; None if the recording does not say.
    """

    index: int
    kind: str
    codec: str
    decodable: bool | None
    language: str | None
    title: str | None
    default: bool
    duration: float | None
    sample_rate: int | None
    channels: int | None
    layout: str | None


class ProbeResult(ReceivedModel):
    """Answer of the extractor's ``GET /probe``: what a recording holds.

    Attributes:
        etag, last_modified, size: of the object; size in bytes.
        container: as ffmpeg names it.
        duration: seconds; None if the recording does not state it.
        chosen_track: the audio track that is extracted if a request names none, as in ``track``; None without audio.
        chosen_stream: ``index`` of its stream.
        chosen_because: why that one, or why none.
    """

    savepath: str
    bucket_name: str
    size: int
    last_modified: datetime
    etag: str
    container: str
    duration: float | None
    streams: list[ProbedStream]
    chosen_track: int | None
    chosen_stream: int | None
    chosen_because: str


class ListedObject(ReceivedModel):
    """One object of a bucket; if its bytes cannot be read, ``reason`` says why and the other fields are None."""

    savepath: str
    size: int | None = None
    last_modified: datetime | None = None
    etag: str | None = None
    reason: str | None = None


class ObjectPage(ReceivedModel):
    """Answer of the extractor's ``GET /objects``; ``next`` is the ``after`` of the next page, None on the last one."""

    objects: list[ListedObject]
    next: str | None
