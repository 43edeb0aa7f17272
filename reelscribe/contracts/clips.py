"""The extractor's requests and answers about parts of a video: clips, previews and waveforms."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reelscribe.contracts.messages import (
    SHORTEST_SECONDS,
    ErrorObject,
    NonNegativeSeconds,
    ReceivedModel,
    Savepath,
    WireModel,
)

LONGEST_CLIP_SECONDS = 3600
MOST_MOMENTS = 16
MOST_POINTS = 100_000

ClipMode = Literal["exact", "copy"]
ClipSound = Literal["none", "wav", "flac"]
PreviewFormat = Literal["gif", "webp", "mp4"]

Track = Annotated[int, Field(ge=0, le=255)]
Bucket = Annotated[str | None, Field(description="default: config's bucket_name")]


class ClipRequest(WireModel):
    """Body of the extractor's ``POST /extract-clip``."""

    savepath: Savepath
    bucket_name: Bucket = None
    start: NonNegativeSeconds = Field(default=0.0, description="seconds")
    duration: float = Field(ge=SHORTEST_SECONDS, le=LONGEST_CLIP_SECONDS, allow_inf_nan=False, description="seconds")
    mode: ClipMode = Field(
        default="exact",
        description="exact: encoded again, from the frame that is shown at start; copy: as stored, from a key frame",
    )
    size: int | None = Field(
        default=None, ge=16, le=8192, description="exact: most pixels of the longer side; never enlarged"
    )
    audio: ClipSound = Field(
        default="none", description="wav, flac: answer a tar of the clip, its sound and a description as JSON"
    )
    sample_rate: int | None = Field(default=None, ge=8000, le=192_000, description="of that sound, Hz")
    channels: Literal[1, 2] | None = Field(default=None, description="of that sound: mix down")
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,95}$")] | None = Field(
        default=None, description="name of the files in that tar; default: from the savepath and start"
    )
    track: Track | None = Field(default=None, description="audio stream; default: the container's")
    video_track: Track | None = Field(default=None, description="picture stream; default: the container's")
    allow_incomplete: bool = Field(default=False, description="accept a stored file that is cut or damaged")

    @model_validator(mode="after")
    def _copied_as_stored(self) -> Self:
        if self.mode == "copy" and self.size is not None:
            raise ValueError("size: a copy keeps the stored picture; take mode = exact")
        return self

    @model_validator(mode="after")
    def _only_of_a_file(self) -> Self:
        for name in ("sample_rate", "channels", "key"):
            if self.audio == "none" and getattr(self, name) is not None:
                raise ValueError(f"{name} is of the sound's own file; ask for one with audio = wav or flac")
        return self


class PreviewRequest(WireModel):
    """Body of the extractor's ``POST /extract-preview``."""

    savepath: Savepath
    bucket_name: Bucket = None
    format: PreviewFormat = "gif"
    moments: list[NonNegativeSeconds] | None = Field(
        default=None, min_length=1, max_length=MOST_MOMENTS, description="seconds, shown one after the other"
    )
    count: int | None = Field(
        default=None, ge=1, le=MOST_MOMENTS, description="instead of moments: so many, evenly spread; default: 1"
    )
    seconds: float = Field(default=2.0, ge=0.1, le=30, allow_inf_nan=False, description="of each moment")
    fps: float = Field(default=8.0, ge=1, le=30, allow_inf_nan=False, description="at most")
    size: int = Field(default=320, ge=16, le=1280, description="most pixels of the longer side; never enlarged")
    max_bytes: int = Field(
        default=2 << 20, ge=1000, le=64 << 20, description="fps and size are lowered until the file fits"
    )
    video_track: Track | None = Field(default=None, description="picture stream; default: the container's")
    allow_incomplete: bool = Field(default=False, description="accept damaged pictures")

    @model_validator(mode="after")
    def _either_moments_or_count(self) -> Self:
        if self.moments is not None and self.count is not None:
            raise ValueError("give moments or count, not both")
        return self


class PeaksRequest(WireModel):
    """Body of the extractor's ``POST /peaks``."""

    savepath: Savepath
    bucket_name: Bucket = None
    start: NonNegativeSeconds = Field(default=0.0, description="seconds")
    duration: float | None = Field(
        default=None, ge=SHORTEST_SECONDS, le=1e7, allow_inf_nan=False, description="seconds"
    )
    points: int | None = Field(
        default=None, ge=1, le=MOST_POINTS, description="of the entire waveform; default: 1000, if not per_second"
    )
    per_second: int | None = Field(default=None, ge=1, le=1000, description="instead of points")
    track: Track | None = Field(default=None, description="audio stream; default: the container's")
    allow_incomplete: bool = Field(default=False, description="accept a stored file that is cut or damaged")

    @model_validator(mode="after")
    def _either_points_or_per_second(self) -> Self:
        if self.points is not None and self.per_second is not None:
            raise ValueError("give points or per_second, not both")
        return self


class Peaks(ReceivedModel):
    """Answer of the extractor's ``POST /peaks``: the envelope of a waveform.

    Attributes:
        etag: of the object.
        seconds: length of the sound; point ``i`` of ``n`` is of the samples from ``i / n`` of it on.
        channels: of the sound; each point is of all of them.
        per_second: points per second.
        min, max: 16-bit samples, from -32768 to 32767.
        state, reason, remarks: as in :class:`reelscribe.contracts.extractor.ExtractionReceipt`.
    """

    extraction_id: str
    savepath: str
    bucket_name: str
    etag: str
    start: float
    seconds: float
    samples: int
    sample_rate: int
    channels: int
    per_second: float
    min: list[int]
    max: list[int]
    state: Literal["complete", "incomplete"]
    reason: str | None
    remarks: list[str]


class ClipRecord(ReceivedModel):
    """``KEY.json`` in the tar of a clip with a sound file; every field is in every one, None if there is no such thing.

    Attributes:
        asked_start, asked_seconds: of the request.
        mode: ``exact`` or ``copy``.
        begins: time in the recording at which clip and sound begin, in seconds: ``start``, but of a copy its key frame.
            That of a recording whose beginning was trimmed is before 0, where the sound begins.
        seconds: length of the clip; less than asked for if the recording ends earlier.
        video_pts, video_time_base: the first picture's own timestamp in the recording.
        frames: pictures in the clip.
        width, height: of the picture as delivered; of a copy as stored.
        audio_start_sample: number of the first sample, counted from the recording's beginning.
        audio_samples: of each channel, in the sound file.
    """

    key: str
    savepath: str
    bucket_name: str
    etag: str
    mode: ClipMode
    asked_start: float
    asked_seconds: float
    begins: float
    seconds: float
    video_pts: int
    video_time_base: str
    frames: int
    width: int | None
    height: int | None
    audio_start_sample: int | None
    audio_samples: int | None
    sample_rate: int | None
    channels: int | None


class PreviewMoment(ReceivedModel):
    """One moment of a preview: when it begins in the recording, and the seconds of pictures that there were."""

    start: float
    seconds: float
    frames: int


class ClipReceipt(ReceivedModel):
    """What one clip, preview or waveform delivered, from ``GET /extractions/{id}``.

    Attributes:
        kind: which route made it.
        etag, last_modified, size: of the object; size in bytes.
        state: ``complete``: all that the recording has of the requested part was delivered; ``incomplete``: it is cut
            or damaged, and the request allowed that; ``failed``: the body was cut, or never began.
        reason: why it is not complete.
        error: of a failed one, the error object that could no longer be sent to its client.
        asked_seconds: of the requested part; None for a waveform of all.
        seconds: what was delivered; less than asked for if the recording ends earlier.
        begins: time in the recording of the first picture in the body, in seconds; of a copy that of its key frame.
        frames: pictures in the body.
        damaged_frames: pictures that could not be decoded intact.
        samples: of each channel of the sound in the body; None if it was copied.
        bytes, sha256: of the whole body.
        width, height, fps: of the picture as delivered; ``fps`` of a preview.
        moments: of a preview.
        track, video_track: which streams were taken, as in a request.
        track_choice, video_track_choice: why those.
        remarks: what a reader should know although nothing is missing: the recording ends earlier, HDR was converted.
    """

    extraction_id: str
    kind: Literal["clip", "preview", "peaks"]
    savepath: str
    bucket_name: str
    etag: str
    last_modified: datetime
    size: int
    state: Literal["complete", "incomplete", "failed"]
    reason: str | None = None
    error: ErrorObject | None = None
    asked_seconds: float | None = None
    seconds: float | None = None
    begins: float | None = None
    frames: int | None = None
    damaged_frames: int | None = None
    samples: int | None = None
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    moments: list[PreviewMoment] = Field(default_factory=list)
    track: int | None = None
    track_choice: str | None = None
    video_track: int | None = None
    video_track_choice: str | None = None
    remarks: list[str] = Field(default_factory=list)
