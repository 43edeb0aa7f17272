"""What is to be built: settings, items and shards. A plan is made once, stored, and never changed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from reelscribe.contracts.messages import NonNegativeSeconds, WireModel

DatasetKind = Literal["speech", "pairs", "frames", "clips"]
EVERYTHING = "all"
"""The split of what no list gives one."""

SPLIT_PATTERN = r"^[A-Za-z0-9_]{1,40}$"
"""Of the name of a split: it begins the names of shards, which end with a number after a hyphen."""


class _Numbers(WireModel):
    """Settings whose numbers are finite."""

    model_config = ConfigDict(allow_inf_nan=False)


class SpeechSettings(_Numbers):
    """Utterances with their text.

    Attributes:
        min_seconds, max_seconds: of an utterance; what is shorter or cannot be cut shorter is left out.
        pause: silence in seconds between words at which an utterance ends.
        margin: seconds of sound before the first word and after the last one, if nothing is said there.
        min_confidence: mean probability of the words, at least.
    """

    min_seconds: float = Field(default=0.5, ge=0.1, le=30)
    max_seconds: float = Field(default=30.0, ge=1, le=30)
    pause: float = Field(default=0.5, gt=0, le=10)
    margin: float = Field(default=0.1, ge=0, le=1)
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    sample_rate: int = Field(default=16_000, ge=8000, le=192_000)

    @model_validator(mode="after")
    def _some_length_fits(self) -> Self:
        if self.min_seconds > self.max_seconds:
            raise ValueError("min_seconds must not be more than max_seconds")
        return self


class FramesSettings(_Numbers):
    """Pictures.

    Attributes:
        fps: pictures for each second.
        size: pixels of the longer side, at most.
        quality: of jpeg and webp.
    """

    fps: float = Field(default=2.0, gt=0, le=120)
    picture: Literal["jpeg", "png", "webp"] = "jpeg"
    size: int | None = Field(default=None, ge=16, le=8192)
    quality: int = Field(default=90, ge=1, le=100)


class PairsSettings(FramesSettings):
    """Pictures, each with the sound around it."""

    audio_seconds: float = Field(default=0.5, gt=0, le=60)
    window: Literal["centred", "after", "before"] = "centred"
    audio: Literal["wav", "flac"] = "wav"
    sample_rate: int = Field(default=16_000, ge=8000, le=192_000)
    channels: Literal[1, 2] = 1
    edges: Literal["drop", "pad"] = "drop"


class ClipsSettings(_Numbers):
    """Parts of videos.

    Attributes:
        seconds: of a clip; a recording without a start in a list gives one clip after the other.
        audio: a file with the sound of its own.
        size: pixels of the longer side, at most.
    """

    seconds: float = Field(default=10.0, gt=0, le=3600)
    mode: Literal["exact", "copy"] = "exact"
    audio: Literal["none", "wav", "flac"] = "wav"
    size: int | None = Field(default=None, ge=16, le=8192)


KindSettings = SpeechSettings | FramesSettings | PairsSettings | ClipsSettings
SETTINGS: Mapping[DatasetKind, type[KindSettings]] = {
    "speech": SpeechSettings,
    "pairs": PairsSettings,
    "frames": FramesSettings,
    "clips": ClipsSettings,
}


class Utterance(WireModel):
    """Something that was said, in seconds from the start of the recording."""

    start: float
    end: float
    text: str
    language: str
    confidence: float


class Item(WireModel):
    """A recording, or a part of one, that is to become samples.

    Attributes:
        id: by which people know it: that of a list, else the savepath.
        key: with which the keys of its samples begin.
        etag: of the object when the plan was made; None if it was not known.
        start, duration: of the part in seconds; None: from the start, to the end.
        seconds: length of the recording; None if it is not known.
        left_out: how many utterances are not wanted, by reason.
        code, mistake: why it gives no sample, if that was known when the plan was made.
    """

    id: str
    key: str
    bucket: str
    savepath: str
    etag: str | None = None
    track: int | None = None
    allow_incomplete: bool = False
    start: NonNegativeSeconds | None = None
    duration: float | None = Field(default=None, gt=0)
    seconds: float | None = None
    label: str | None = None
    speaker: str | None = None
    utterances: list[Utterance] = Field(default_factory=list)
    left_out: dict[str, int] = Field(default_factory=dict)
    code: str | None = None
    mistake: str | None = None


class PlanSettings(WireModel):
    """What all shards of a dataset have in common.

    Attributes:
        selection: which recordings were asked for, in the words of the command.
        settings: of the kind, see :data:`SETTINGS`.
        default_bucket: the one that the extractor takes when none is named.
        shard_mb: size of a shard, about.
        with_labels, with_speakers: whether any item has one. If none has, the field is null in every sample; else it
            is a text in every sample, empty if it is not known: loaders take the type from the first samples.
    """

    kind: DatasetKind
    selection: dict[str, Any]
    settings: dict[str, Any]
    default_bucket: str
    shard_mb: float
    with_labels: bool = False
    with_speakers: bool = False

    @property
    def of_kind(self) -> KindSettings:
        """The settings of the kind."""
        return SETTINGS[self.kind].model_validate(self.settings)

    def hash(self) -> str:
        """Of what was asked for; a plan is continued only by a command that asks for the same."""
        asked = self.model_dump(include={"kind", "selection", "settings", "shard_mb"})
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class ShardPlan(WireModel):
    """All that is needed to build one shard."""

    plan: PlanSettings
    number: int
    split: str = Field(pattern=SPLIT_PATTERN)
    items: list[Item]
