"""From a service's table of operations to its routes; and the operations that every service has."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from tornado.web import Application, RequestHandler

from reelscribe.contracts.diagnosis import Diagnosis
from reelscribe.contracts.messages import Health
from reelscribe.http.api import openapi
from reelscribe.http.api.monitoring import DiagnosisHandler, HealthHandler, MetricsHandler
from reelscribe.http.api.operations import JSON, Answer, Operation
from reelscribe.http.server.service import NoRouteHandler, Service, ServiceHandler

log = logging.getLogger(__name__)


class DocumentHandler(ServiceHandler):
    """The OpenAPI document of this service, for people and for generators of clients."""

    def get(self) -> None:
        public_url = self.service.public_url
        self.finish({**self.settings["openapi"], **({"servers": [{"url": public_url}]} if public_url else {})})


HEALTH = Operation(
    "GET",
    "/healthz",
    "health",
    "Whether this service works, for monitors",
    (
        Answer("It works, or is degraded: what it lacks is in problems.", {JSON: Health}),
        Answer("It is shutting down, or cannot work now.", {JSON: Health}, status=503),
    ),
    public=True,
    handler=HealthHandler,
)
METRICS = Operation(
    "GET",
    "/metrics",
    "metrics",
    "Counters and histograms, as Prometheus text",
    (Answer("The metrics.", {CONTENT_TYPE_LATEST.split(";")[0]: None}),),
    handler=MetricsHandler,
)
DIAGNOSIS = Operation(
    "GET",
    "/diagnosis",
    "diagnosis",
    "What an operator should know of this service, and what fixes it: orchestrator doctor asks all services",
    (Answer("The findings.", {JSON: Diagnosis}),),
    handler=DiagnosisHandler,
)
DOCUMENT = Operation(
    "GET",
    "/openapi.json",
    "openapi",
    "This document",
    (Answer("OpenAPI 3.1.", {JSON: None}),),
    handler=DocumentHandler,
)
SHARED_OPERATIONS = (HEALTH, METRICS, DIAGNOSIS, DOCUMENT)


@dataclass(frozen=True)
class Api:
    """The HTTP interface of one service.

    Attributes:
        own: the operations that only this service has, and those of :data:`SHARED_OPERATIONS` that it has in a way of
            its own.
        fallbacks: by prefix, the handler of all other paths that begin with it; they are not documented.
    """

    title: str
    description: str
    own: tuple[Operation, ...]
    fallbacks: Mapping[str, type[ServiceHandler]] = field(default_factory=dict)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All operations, those that every service has among them."""
        own = {(operation.method, operation.path) for operation in self.own}
        return (*self.own, *(shared for shared in SHARED_OPERATIONS if (shared.method, shared.path) not in own))

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document, made once: that takes some 0.1 s. It is not to be changed."""
        return openapi.document(self.title, self.description, self.operations)

    def application(
        self,
        service: Service,
        pages: Mapping[str, type[ServiceHandler]] | None = None,
        no_route: type[ServiceHandler] = NoRouteHandler,
    ) -> Application:
        """The routes, wired to what their handlers work with.

        Args:
            pages: by pattern, the handlers of what people open in a browser: they are no part of the API.
            no_route: answers every URL that there is not.
        """
        shared = {"service": service}
        service.access.scopes = {(each.handler, each.method): each.needed_scope for each in self.operations}
        handlers = {operation.url_pattern: operation.handler for operation in self.operations}
        handlers |= {f"{prefix}.*": handler for prefix, handler in self.fallbacks.items()}
        handlers |= pages or {}
        return Application(
            [(pattern, handler, shared) for pattern, handler in handlers.items()],
            default_handler_class=no_route,
            default_handler_args=shared,
            log_function=_log_request,
            openapi=self.document,
        )


def _log_request(handler: RequestHandler) -> None:
    log.debug("%d %s %s", handler.get_status(), handler.request.method, handler.request.uri)
