"""Machine C's routes, wired to their handlers."""

from tornado.web import Application

from extractor_api.file_delivery import ResultHandler
from extractor_api.handlers import ExtractAudioHandler, ObjectsHandler, ProbeHandler, ReceiptHandler
from extractor_api.openapi import document
from extractor_api.service import ExtractorMachine
from reelscribe.http.server import DocumentHandler, make_application


def make_app(machine: ExtractorMachine) -> Application:
    """All routes of Machine C."""
    return make_application(
        machine,
        [
            (r"/extract-audio", ExtractAudioHandler, {}),
            (r"/extractions/(\w{1,64})", ReceiptHandler, {}),
            (r"/extractions/(\w{1,64})/audio", ResultHandler, {}),
            (r"/probe", ProbeHandler, {}),
            (r"/objects", ObjectsHandler, {}),
            (r"/openapi\.json", DocumentHandler, {"document": document()}),
        ],
    )
