"""The transcriber's routes, wired to their handlers."""

from tornado.web import Application

from reelscribe.http.server import DocumentHandler, make_application
from transcriber.api.models import LoadHandler, UnloadHandler
from transcriber.api.openai import (
    ModelHandler,
    ModelsHandler,
    NoSuchRouteHandler,
    TranscriptionsHandler,
    TranslationsHandler,
)
from transcriber.api.openapi import document
from transcriber.api.transcribe import TranscribeHandler
from transcriber.service import TranscriberService


def make_app(service: TranscriberService) -> Application:
    """All routes of the transcriber."""
    return make_application(
        service,
        [
            (r"/transcribe", TranscribeHandler, {}),
            (r"/v1/audio/transcriptions", TranscriptionsHandler, {}),
            (r"/v1/audio/translations", TranslationsHandler, {}),
            (r"/v1/models", ModelsHandler, {}),
            (r"/v1/models/(.+)", ModelHandler, {}),
            (r"/v1/.*", NoSuchRouteHandler, {}),
            (r"/models/load", LoadHandler, {}),
            (r"/models/unload", UnloadHandler, {}),
            (r"/openapi\.json", DocumentHandler, {"document": document()}),
        ],
    )
