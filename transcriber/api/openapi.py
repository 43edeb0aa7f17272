"""The transcriber's operations, for ``GET /openapi.json``."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, RootModel, create_model

from reelscribe import errors
from reelscribe.contracts.events import NDJSON, Event, Finished, Segment, Started
from reelscribe.contracts.messages import Health, ReceivedModel
from reelscribe.contracts.transcriber import TranscribeFields, TranscribeRequest
from reelscribe.http import openapi
from reelscribe.http.openapi import JSON, Answer, Operation
from transcriber.api.models import ModelState
from transcriber.api.schemas import CONTENT_TYPES, Granularity, TranscriptionForm, TranslationForm
from transcriber.model.weights import State

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


class EventLine(RootModel[Event]):
    """One line of the answer."""


Transcript = create_model(  # type: ignore[call-overload]
    "Transcript",
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
    """Which model this machine has, and how many more jobs it can take.

    Attributes:
        capacity: jobs at once; for interactive ones there is more.
        free: how many more that are not interactive would begin at once.
        waiting: requests for a place, uploads that still arrive among them.
        warnings: what an operator should mend.
    """

    model: str
    device: str
    compute_type: str
    model_state: State
    ffmpeg: str
    warnings: list[str]
    capacity: int
    free: int
    waiting: int


class Usage(ReceivedModel):
    """What OpenAI would charge for; ``seconds`` of audio."""

    type: Literal["duration"]
    seconds: int


class Text(ReceivedModel):
    """``response_format = json``."""

    text: str
    usage: Usage


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
    """What went wrong, as OpenAI tells it."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str


class OpenAIErrorAnswer(ReceivedModel):
    """Every answer of ``/v1`` that is no success."""

    error: OpenAIError


UPLOAD_FAILURES = (
    errors.Busy,
    errors.ModelNotLoaded,
    errors.BodyTooLarge,
    errors.NoAudioTrack,
    errors.NotDecodable,
    errors.PastTheEnd,
    errors.IncompleteRecording,
    errors.ModelFailed,
    errors.ModelBroken,
    errors.NoAudioInTime,
    errors.NoRoom,
)
STORED_FAILURES = (
    errors.PeerUnreachable,
    errors.PeerRefused,
    errors.StreamCut,
    errors.ObjectNotFound,
    errors.NotReadable,
)
TEXTS = {**dict.fromkeys(kind.split(";")[0] for kind in CONTENT_TYPES.values()), "text/event-stream": None}
MODEL_STATE = Answer("Done.", {JSON: ModelState})
MODEL_NAME = {"model": ".+"}


def _openai_audio(route: str, name: str, summary: str, form: type[TranslationForm]) -> Operation:
    return Operation(
        "POST",
        f"/v1/audio/{route}",
        name,
        summary,
        (Answer("As response_format says, or server-sent events.", {**TEXTS, JSON: AnyText}),),
        (*UPLOAD_FAILURES, errors.ModelNotFound),
        form=form,
        error_answer=OpenAIErrorAnswer,
    )


OPERATIONS = (
    Operation(
        "POST",
        "/transcribe",
        "transcribe",
        "The segments of a recording of the bucket, or of an uploaded one, while they are heard",
        (
            Answer(
                "One event a line; with Accept: application/json one document.", {NDJSON: EventLine, JSON: Transcript}
            ),
        ),
        (*UPLOAD_FAILURES, *STORED_FAILURES),
        body=TranscribeRequest,
        form=TranscribeUpload,
    ),
    _openai_audio(
        "transcriptions", "openaiTranscription", "OpenAI's API: the text of an uploaded recording", TranscriptionUpload
    ),
    _openai_audio("translations", "openaiTranslation", "OpenAI's API: the same in English", TranslationUpload),
    Operation(
        "GET",
        "/v1/models",
        "openaiModels",
        "OpenAI's API: the names that a request may give",
        (Answer("The models.", {JSON: OpenAIModels}),),
        error_answer=OpenAIErrorAnswer,
    ),
    Operation(
        "GET",
        "/v1/models/{model}",
        "openaiModel",
        "OpenAI's API: one of them",
        (Answer("The model.", {JSON: OpenAIModel}),),
        (errors.ModelNotFound,),
        path_parameters=MODEL_NAME,
        error_answer=OpenAIErrorAnswer,
    ),
    Operation(
        "POST",
        "/models/load",
        "loadModel",
        "Have the model in memory before a job needs it",
        (MODEL_STATE,),
        (errors.ModelNotLoaded,),
    ),
    Operation(
        "POST",
        "/models/unload",
        "unloadModel",
        "Free the model's memory until a job needs it again",
        (MODEL_STATE,),
        (errors.ModelInUse,),
    ),
    Operation(
        "GET",
        "/healthz",
        "health",
        "Whether this machine works, and how many more jobs it can take, for monitors and the orchestrator",
        (
            Answer("It works.", {JSON: TranscriberHealth}),
            Answer("It is shutting down.", {JSON: TranscriberHealth}, status=503),
        ),
        public=True,
    ),
)


def document() -> dict[str, Any]:
    """The transcriber's OpenAPI document."""
    return openapi.document(
        "Reelscribe transcriber",
        "Turns a recording into segments of text while it still arrives.",
        OPERATIONS,
    )
