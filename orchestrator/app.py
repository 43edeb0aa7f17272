"""Machine A's routes."""

from tornado.web import Application

from machine.server import make_application
from orchestrator.handlers import (
    HealthHandler,
    JobHandler,
    JobsHandler,
    OrchestratorMachine,
    SearchHandler,
    TranscriptHandler,
)


def make_app(machine: OrchestratorMachine) -> Application:
    """The routes and what their handlers work with, nothing else."""
    return make_application(
        machine,
        [
            (r"/healthz", HealthHandler, {}),
            (r"/api/jobs", JobsHandler, {}),
            (r"/api/jobs/([0-9]{1,18})", JobHandler, {}),
            (r"/api/transcripts/(.+)", TranscriptHandler, {}),
            (r"/api/search", SearchHandler, {}),
        ],
    )
