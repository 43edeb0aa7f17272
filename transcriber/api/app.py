"""Machine B's routes, wired to their handlers."""

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
from transcriber.service import TranscriberMachine


def make_app(machine: TranscriberMachine) -> Application:
    """All routes of Machine B."""
    return make_application(
        machine,
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
