"""The extractor's routes, wired to their handlers."""

from tornado.web import Application

from extractor_api.file_delivery import ResultHandler
from extractor_api.handlers import ExtractAudioHandler, ObjectsHandler, ProbeHandler, ReceiptHandler
from extractor_api.openapi import document
from extractor_api.service import ExtractorService
from reelscribe.http.server import DocumentHandler, make_application


def make_app(service: ExtractorService) -> Application:
    """All routes of the extractor."""
    return make_application(
        service,
        [
            (r"/extract-audio", ExtractAudioHandler, {}),
            (r"/extractions/(\w{1,64})", ReceiptHandler, {}),
            (r"/extractions/(\w{1,64})/audio", ResultHandler, {}),
            (r"/probe", ProbeHandler, {}),
            (r"/objects", ObjectsHandler, {}),
            (r"/openapi\.json", DocumentHandler, {"document": document()}),
        ],
    )
