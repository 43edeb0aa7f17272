"""The extractor's requests and answers about pictures: frames of a video, with the sound around them or without."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reelscribe.contracts.exact import decimal, milliseconds
from reelscribe.contracts.messages import ErrorObject, NonNegativeSeconds, ReceivedModel, Savepath, WireModel

MOST_TIMESTAMPS = 10_000

FramePicture = Literal["jpeg", "png", "webp"]
PairPicture = Literal["jpeg", "png", "webp", "none"]
SampleSound = Literal["wav", "flac", "none"]
Window = Literal["centred", "after", "before"]
Edges = Literal["drop", "pad"]

Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,80}$")]
Track = Annotated[int, Field(ge=0, le=255)]


class _Moments(WireModel):
    """Which moments of which recording a request asks for."""

    savepath: Savepath
    bucket_name: str | None = Field(default=None, description="default: config's bucket_name")
    fps: float | None = Field(
        default=None, gt=0, le=120, allow_inf_nan=False, description="samples per second, from start on"
    )
    timestamps: list[NonNegativeSeconds] | None = Field(
        default=None, min_length=1, max_length=MOST_TIMESTAMPS, description="instead of fps: seconds, in any order"
    )
    start: NonNegativeSeconds = Field(default=0.0, description="with fps: seconds")
    duration: float | None = Field(
        default=None, gt=0, le=1e7, allow_inf_nan=False, description="with fps: seconds; default: to the end"
    )
    video_track: Track | None = Field(default=None, description="picture stream; default: the container's")
    size: int | None = Field(
        default=None, ge=16, le=16_384, description="most pixels of the longer side; never enlarged"
    )
    quality: int = Field(default=90, ge=1, le=100, description="jpeg and webp")
    key: Key | None = Field(default=None, description="what names of files begin with; default: from the savepath")
    allow_incomplete: bool = Field(default=False, description="accept a stored file that is cut or damaged")

    @model_validator(mode="after")
    def _either_rate_or_moments(self) -> Self:
        if (self.fps is None) == (self.timestamps is None):
            raise ValueError("give either fps or timestamps")
        if self.timestamps is None:
            return self
        if self.start or self.duration is not None:
            raise ValueError("start and duration go with fps; timestamps are complete")
        if len({milliseconds(decimal(seconds)) for seconds in self.timestamps}) < len(self.timestamps):
            raise ValueError("two of timestamps are in the same millisecond, and would have the same name")
        return self


class FramesRequest(_Moments):
    """Body of the extractor's ``POST /extract-frames``."""

    picture: FramePicture = "jpeg"


class PairsRequest(_Moments):
    """Body of the extractor's ``POST /extract-pairs``."""

    picture: PairPicture = "jpeg"
    audio_seconds: float = Field(default=0.5, gt=0, le=60, allow_inf_nan=False, description="of sound in each sample")
    window: Window = Field(default="centred", description="where that is, relative to the time of the picture")
    audio_format: SampleSound = "wav"
    sample_rate: int | None = Field(default=None, ge=8000, le=192_000, description="Hz; default: the source's")
    channels: Literal[1, 2] | None = Field(default=None, description="mix down; default: as stored")
    track: Track | None = Field(default=None, description="audio stream; default: the container's")
    edges: Edges = Field(
        default="drop",
        description="samples whose sound begins before the recording or ends after it: left out, or padded",
    )

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.picture == "none" and self.audio_format == "none":
            raise ValueError("picture and audio_format are both none; nothing would be left")
        return self


class FrameRecord(ReceivedModel):
    """``KEY.json`` of a frame: every field is in every sample; a field is None if there is no such thing.

    Attributes:
        index: of the moment: its place in ``timestamps``, or its number from ``start`` on.
        asked_seconds: the moment that was asked for.
        video_pts, video_time_base: the picture's own timestamp in the recording, in units of ``1/90000`` s for example.
        video_seconds: the same on the timeline of the recording, in seconds.
        video_start_pts: the timestamp of the first picture as the container declares it.
        width, height: of the picture as delivered.
        rotation: degrees clockwise that it was turned by, as players do.
        transfer: how brightness is stored, if that is HDR: ``smpte2084`` (PQ) or ``arib-std-b67`` (HLG).
        tone_mapped: that was converted to BT.709.
    """

    key: str
    savepath: str
    bucket_name: str
    etag: str
    index: int
    asked_seconds: float
    video_pts: int | None
    video_time_base: str | None
    video_seconds: float | None
    video_start_pts: int | None
    width: int | None
    height: int | None
    rotation: int | None
    transfer: str | None
    tone_mapped: bool


class PairRecord(FrameRecord):
    """``KEY.json`` of a pair.

    Attributes:
        audio_start_sample: number of the first sample, counted from the recording's beginning; negative where padding
            begins before it.
        audio_samples: how many there are, for each channel, with padding.
        padded_before, padded_after: how many of them are padding.
        audio_seconds: the same as ``audio_samples``, in seconds.
    """

    audio_start_sample: int | None
    audio_samples: int | None
    sample_rate: int | None
    channels: int | None
    padded_before: int | None
    padded_after: int | None
    audio_seconds: float | None


class SamplesReceipt(ReceivedModel):
    """What one request for pairs or frames delivered, from ``GET /extractions/{id}``.

    Attributes:
        etag, last_modified, size: of the object; size in bytes.
        kind: which route made it.
        state: ``complete``: every sample that there is was delivered; ``incomplete``: the recording is cut or damaged,
            and the request allowed that; ``failed``: the tar was cut, or never began.
        reason: why it is not complete.
        error: of a failed one, the error object that could no longer be sent to its client.
        samples: in the tar.
        dropped_edges: moments without a sample because the sound ends, or begins, within its window.
        without_picture: moments at which the recording shows no picture.
        damaged_pictures: moments whose picture could not be decoded intact; they have no sample.
        bytes, sha256: of the whole tar.
        decode_warnings: errors of the decoder of the pictures.
        video_track, track: which streams were taken, as in a request; None if there was no need for one.
        sample_rate: of the sound, Hz.
        channels: of the sound.
        remarks: what a reader should know although nothing is missing.
    """

    extraction_id: str
    savepath: str
    bucket_name: str
    etag: str
    last_modified: datetime
    size: int
    kind: Literal["pairs", "frames"]
    state: Literal["complete", "incomplete", "failed"]
    reason: str | None = None
    error: ErrorObject | None = None
    samples: int
    dropped_edges: int
    without_picture: int
    damaged_pictures: int
    bytes: int
    sha256: str
    decode_warnings: int
    video_track: int | None = None
    track: int | None = None
    sample_rate: int | None = None
    channels: int | None = None
    remarks: list[str] = Field(default_factory=list)
