"""The orchestrator's routes."""

from tornado.web import Application

from orchestrator.api.events import EventsHandler, JobEventsHandler
from orchestrator.api.handlers import (
    CancelHandler,
    HealthHandler,
    JobHandler,
    JobsHandler,
    OrchestratorService,
    RetryHandler,
    SearchHandler,
    StatusHandler,
    TranscriptHandler,
)
from orchestrator.api.minio_webhook import MinioHookHandler
from orchestrator.api.openapi import document
from reelscribe.http.server import DocumentHandler, make_application

JOB = r"/api/jobs/([0-9]{1,18})"


def make_app(service: OrchestratorService) -> Application:
    """The routes and what their handlers work with, nothing else."""
    return make_application(
        service,
        [
            (r"/healthz", HealthHandler, {}),
            (r"/api/jobs", JobsHandler, {}),
            (JOB, JobHandler, {}),
            (rf"{JOB}/cancel", CancelHandler, {}),
            (rf"{JOB}/retry", RetryHandler, {}),
            (rf"{JOB}/events", JobEventsHandler, {}),
            (r"/api/events", EventsHandler, {}),
            (r"/api/status", StatusHandler, {}),
            (r"/api/transcripts/(.+)", TranscriptHandler, {}),
            (r"/api/search", SearchHandler, {}),
            (r"/hooks/minio", MinioHookHandler, {}),
            (r"/openapi.json", DocumentHandler, {"document": document()}),
        ],
    )
