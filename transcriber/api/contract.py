"""What the transcriber's routes take and answer, as models for its OpenAPI document."""

from typing import Literal

from pydantic import ConfigDict, Field, RootModel, create_model

from reelscribe.contracts.events import Event, Finished, Segment, Started
from reelscribe.contracts.messages import Health, ReceivedModel
from reelscribe.contracts.speech_without_words import SpeechWithoutWords
from reelscribe.contracts.transcriber import Languages, TranscribeFields
from transcriber.api.schemas import Granularity, TranscriptionForm, TranslationForm
from transcriber.model.weights import LoadState

RECORDING = Field(description="the recording: anything that FFmpeg reads")


class TranscribeUpload(TranscribeFields):
    """A recording, and what to do with it."""

    file: bytes = RECORDING


class TranslationUpload(TranslationForm):
    """A recording, and the form of the answer."""

    file: bytes = RECORDING


class TranscriptionUpload(TranscriptionForm):
    """A recording, and the form of the answer."""

    model_config = ConfigDict(populate_by_name=True)

    file: bytes = RECORDING
    timestamp_granularities: tuple[Granularity, ...] = Field(("segment",), alias="timestamp_granularities[]")
    keywords: tuple[str, ...] = Field((), alias="keywords[]", description="words to expect, as hotwords")
    languages: Languages = Field((), alias="languages[]", description="detect one of these only; default: any")


class EventLine(RootModel[Event]):
    """One line of the answer."""


TranscriptDocument = create_model(  # type: ignore[call-overload]
    "TranscriptDocument",
    __base__=ReceivedModel,
    __doc__="All events in one document.",
    **{
        name: (field.annotation, field)
        for model in (Started, Finished)
        for name, field in model.model_fields.items()
        if name not in ("event", "segments")
    },
    segments=(list[Segment], ...),
)


class TranscriberHealth(Health):
    """Which model this service has, and how many more jobs it can take.

    Attributes:
        capacity: jobs that run at the same time; interactive ones have more.
        free: how many more that are not interactive would begin immediately.
        waiting: requests that wait for a slot, uploads that are still arriving among them.
        warnings: what an operator should fix.
    """

    model: str
    device: str
    compute_type: str
    model_state: LoadState
    warnings: list[str]
    capacity: int
    free: int
    waiting: int


class Usage(ReceivedModel):
    """What OpenAI would charge for; ``seconds`` of audio."""

    type: Literal["duration"]
    seconds: int


class Text(ReceivedModel):
    """``response_format = json``; ``complete`` and the ``reason`` why not with ``allow_incomplete``."""

    text: str
    usage: Usage
    complete: bool | None = None
    reason: str | None = None


class VerboseSegment(ReceivedModel):
    """One segment; times in seconds."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseWord(ReceivedModel):
    """One word; times in seconds."""

    word: str
    start: float
    end: float


class VerboseText(Text):
    """``response_format = verbose_json``; ``duration`` in seconds."""

    task: Literal["transcribe", "translate"]
    language: str
    duration: float
    segments: list[VerboseSegment] | None = None
    words: list[VerboseWord] | None = None
    speech_without_words: SpeechWithoutWords | None = None


class AnyText(RootModel[VerboseText | Text]):
    """As ``response_format`` says."""


class OpenAIModel(ReceivedModel):
    """A name that ``model`` may have; ``created`` in seconds since 1970."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class OpenAIModels(ReceivedModel):
    """All of them."""

    object: Literal["list"]
    data: list[OpenAIModel]


class OpenAIError(ReceivedModel):
    """What went wrong, in OpenAI's form."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str


class OpenAIErrorAnswer(ReceivedModel):
    """Every answer of ``/v1`` that is not a success."""

    error: OpenAIError
