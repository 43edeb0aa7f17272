"""Machine B's routes, wired to their handlers."""

from tornado.web import Application

from machine.server import make_application
from transcriber.handlers import TranscribeHandler
from transcriber.service import TranscriberMachine


def make_app(machine: TranscriberMachine) -> Application:
    """All routes of Machine B."""
    return make_application(machine, [(r"/transcribe", TranscribeHandler, {})])
