"""The orchestrator's application: the HTTP API, and the pages that people open."""

from tornado.web import Application

from orchestrator.api.handlers import OrchestratorService
from orchestrator.api.routes import API
from orchestrator.page.datasets import DatasetsPage, ReportPage
from orchestrator.page.handler import NoPageHandler, PageHandler, StaticHandler
from orchestrator.page.home import HomePage
from orchestrator.page.recording import RecordingPage
from orchestrator.page.search import SearchPage
from orchestrator.page.sign_in import SignInPage, SignOutHandler
from orchestrator.page.vocabulary import VocabularyPage

PAGES: dict[str, type[PageHandler]] = {
    r"/": HomePage,
    r"/search": SearchPage,
    r"/datasets": DatasetsPage,
    r"/datasets/([0-9]{1,18})/report": ReportPage,
    r"/vocabulary": VocabularyPage,
    r"/media/(.+)": RecordingPage,
    r"/sign-in": SignInPage,
    r"/sign-out": SignOutHandler,
    r"/static/([0-9a-f]+)/([\w.-]+)": StaticHandler,
}
"""Pattern of the path, and who answers; the operations of the API come first."""


def make_app(service: OrchestratorService) -> Application:
    """The orchestrator's application."""
    return API.application(service, PAGES, NoPageHandler)
