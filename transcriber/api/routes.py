"""The transcriber's routes: the table of its operations."""

from dataclasses import replace

from tornado.web import Application

from reelscribe import errors
from reelscribe.contracts.events import NDJSON
from reelscribe.contracts.scopes import Scope
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.http.api.operations import JSON, Answer, Operation
from reelscribe.http.api.routes import HEALTH, Api
from reelscribe.http.server.service import ServiceHandler
from transcriber.api.contract import (
    AnyText,
    EventLine,
    OpenAIErrorAnswer,
    OpenAIModel,
    OpenAIModels,
    TranscriberHealth,
    TranscribeUpload,
    TranscriptDocument,
    TranscriptionUpload,
    TranslationUpload,
)
from transcriber.api.models import LoadHandler, ModelState, UnloadHandler
from transcriber.api.openai import (
    ModelHandler,
    ModelsHandler,
    NoSuchRouteHandler,
    TranscriptionsHandler,
    TranslationsHandler,
)
from transcriber.api.schemas import CONTENT_TYPES, TranslationForm
from transcriber.api.transcribe import TranscribeHandler
from transcriber.service import TranscriberService

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
    errors.BucketUnavailable,
    errors.PeerUnreachable,
    errors.PeerRefused,
    errors.StreamCut,
    errors.ObjectNotFound,
    errors.NotReadable,
)
TEXTS = {**dict.fromkeys(kind.split(";")[0] for kind in CONTENT_TYPES.values()), "text/event-stream": None}
MODEL_STATE = Answer("Done.", {JSON: ModelState})
MODEL_NAME = {"model": ".+"}


def _openai_audio(
    path: str, name: str, summary: str, form: type[TranslationForm], handler: type[ServiceHandler]
) -> Operation:
    return Operation(
        "POST",
        path,
        name,
        summary,
        (Answer("As response_format says, or server-sent events.", {**TEXTS, JSON: AnyText}),),
        (*UPLOAD_FAILURES, errors.ModelNotFound),
        form=form,
        error_answer=OpenAIErrorAnswer,
        handler=handler,
    )


OPERATIONS = (
    Operation(
        "POST",
        "/transcribe",
        "transcribe",
        "The segments of a recording of the bucket, or of an uploaded one, while it is being transcribed",
        (
            Answer(
                "One event per line; with Accept: application/json one document.",
                {NDJSON: EventLine, JSON: TranscriptDocument},
            ),
        ),
        (*UPLOAD_FAILURES, *STORED_FAILURES),
        body=TranscribeRequest,
        form=TranscribeUpload,
        handler=TranscribeHandler,
    ),
    _openai_audio(
        "/v1/audio/transcriptions",
        "openaiTranscription",
        "OpenAI's API: the text of an uploaded recording",
        TranscriptionUpload,
        TranscriptionsHandler,
    ),
    _openai_audio(
        "/v1/audio/translations",
        "openaiTranslation",
        "OpenAI's API: the same in English",
        TranslationUpload,
        TranslationsHandler,
    ),
    Operation(
        "GET",
        "/v1/models",
        "openaiModels",
        "OpenAI's API: the names that a request may give",
        (Answer("The models.", {JSON: OpenAIModels}),),
        error_answer=OpenAIErrorAnswer,
        handler=ModelsHandler,
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
        handler=ModelHandler,
    ),
    Operation(
        "POST",
        "/models/load",
        "loadModel",
        "Have the model in memory before a job needs it",
        (MODEL_STATE,),
        (errors.ModelNotLoaded,),
        scope=Scope.ADMIN,
        handler=LoadHandler,
    ),
    Operation(
        "POST",
        "/models/unload",
        "unloadModel",
        "Free the model's memory until a job needs it again",
        (MODEL_STATE,),
        (errors.ModelInUse,),
        scope=Scope.ADMIN,
        handler=UnloadHandler,
    ),
    replace(
        HEALTH,
        summary="Whether this service works, and how many more jobs it can take, for monitors and the orchestrator",
        answers=(
            Answer("It works.", {JSON: TranscriberHealth}),
            Answer("It is shutting down.", {JSON: TranscriberHealth}, status=503),
        ),
    ),
)

API = Api(
    "Reelscribe transcriber",
    "Turns a recording into segments of text while it is still arriving.",
    OPERATIONS,
    fallbacks={"/v1/": NoSuchRouteHandler},
)


def make_app(service: TranscriberService) -> Application:
    """The transcriber's application."""
    return API.application(service)
