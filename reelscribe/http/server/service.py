"""The HTTP base of every service: bearer auth, JSON errors, request ids, what /healthz and /metrics say."""

import asyncio
import logging
import re
from asyncio import Future
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

from prometheus_client import Counter, Histogram
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from reelscribe import disk_room, errors, log_context, trust
from reelscribe.contracts.diagnosis import Finding
from reelscribe.contracts.messages import WireModel
from reelscribe.http import request_ids
from reelscribe.http.access.admission import UNKNOWN, Access
from reelscribe.http.access.allowed_hosts import AllowedHosts
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.server.connections import NO_PAGE, ServiceStream, reset_on_close
from reelscribe.http.server.metrics import new_registry
from reelscribe.http.server.outage_lines import OutageLines
from reelscribe.http.server.parsing import parse_query, parse_request
from reelscribe.http.server.renewal import Renewal

log = logging.getLogger(__name__)

DRAINED_BYTES = 16 << 20
"""How much of a body over the limit is read and dropped, so that its sender can read the 413."""

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)
"""Seconds; an answer may stream for hours."""

RELOAD_REMEDY = "correct the file that its log names (journalctl --unit 'reelscribe-*' on its host), then reload"

Model = TypeVar("Model", bound=WireModel)


class Service:
    """What the handlers of one service share.

    Args:
        name: as people know it: ``extractor-api``, ``transcriber``, ``orchestrator``.
        tokens: who may call.
        hosts: if that is anyone: under which names, and from which web pages.

    Attributes:
        access: admits requests.
        public_url: base URL that clients use, behind a proxy for example; None: links have no host.
        address: base URL on this host, once it listens.
        degraded_status: of HTTP, for ``/healthz`` while there are problems: 503 if it can do nothing at all then.
        warnings: what its operator should know, and what does not make it degraded; anyone may read them.
        renewal: what it reads again while it runs.
        remedy: what an operator does about its :meth:`problems`.
        folders: whose disks need room, by their setting.
        lost_client_seconds: after which a host that has confirmed nothing of what was sent to it is considered lost;
            None: as the kernel has it, which is about 15 minutes.
    """

    degraded_status = 200
    remedy = "its log says more: journalctl --unit 'reelscribe-*' on its host"
    folders = disk_room.NO_FOLDERS
    lost_client_seconds: int | None = None

    def __init__(self, name: str, tokens: Tokens, hosts: AllowedHosts | None = None) -> None:
        self.name = name
        self.access = Access(tokens, hosts or AllowedHosts())
        self.public_url: str | None = None
        self.address = ""
        self.listening = asyncio.Event()
        self.stopping = asyncio.Event()
        self.running: set[ServiceHandler] = set()
        self.idle = asyncio.Event()
        self.idle.set()
        self.warnings: list[str] = []
        self.renewal = Renewal(name)
        self.renewal.add("tokens", (tokens.file,) if tokens.file else (), self.read_tokens_again)
        self.renewal.add("certificates of [auth]", trust.files(), trust.read_again)
        self._looking_for_all: asyncio.Task[list[Finding]] | None = None
        self.outage_lines = OutageLines()
        self.registry = new_registry(name)
        self.registry.register(disk_room.DiskRoom(lambda: self.folders))
        self.requests = Counter(
            "reelscribe_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.failures = Counter("reelscribe_http_failures", "Failures by code", ["code"], registry=self.registry)
        self.failures.labels(errors.InternalError.code)  # for Prometheus, the first one is an increase only of 0
        self.first_byte_seconds, self.request_seconds = (
            Histogram(name, f"Time to the {byte} byte", ["route"], registry=self.registry, buckets=LATENCY_BUCKETS)
            for name, byte in (
                ("reelscribe_http_first_byte_seconds", "first"),
                ("reelscribe_http_request_seconds", "last"),
            )
        )

    def health(self) -> dict[str, Any]:
        """The body of ``/healthz``; services add their own fields."""
        return {"machine": self.name, "status": "stopping" if self.stopping.is_set() else "ok"}

    def link(self, path: str) -> str:
        """A path of this service as clients reach it."""
        return f"{self.public_url or ''}{path}"

    async def problems(self) -> list[str]:
        """What this service needs and lacks now, which makes it degraded; without URLs: anyone may read it."""
        return []

    def read_tokens_again(self) -> None:
        """Take the tokens that the file holds now; answers without an end of their own end if theirs is gone.

        Raises:
            SettingsError: the file is wrong; then nothing changes.
        """
        self.access.tokens.read_again()
        for handler in list(self.running):
            scope = handler.caller.scope
            if scope and not self.access.caller(handler.request).may(scope):
                handler.lose_token()

    def stalled(self) -> str | None:
        """What has made no progress for so long that only a new process may help, in a sentence; None: nothing."""
        return None

    async def diagnose(self) -> list[Finding]:
        """What an operator should know in addition to :meth:`problems` and the disks; nothing is changed."""
        return []

    async def findings(self) -> list[Finding]:
        """All that an operator should know. Whoever asks meanwhile gets the same."""
        if self._looking_for_all is None or self._looking_for_all.done():
            self._looking_for_all = asyncio.create_task(self._findings())
        return await asyncio.shield(self._looking_for_all)

    async def _findings(self) -> list[Finding]:
        needs = [Finding.fault("needs", problem, self.remedy) for problem in await self.problems()]
        files = [Finding.fault("files", problem, RELOAD_REMEDY) for problem in self.renewal.problems]
        disks = await asyncio.to_thread(disk_room.diagnose, self.folders)
        return [*needs, *files, *await self.diagnose(), *disks]

    async def refresh_metrics(self) -> None:
        """Called before the metrics are read."""


class _HeadersSent(Exception):
    """The answer to a HEAD is complete: what follows would be its body."""


@stream_request_body
class ServiceHandler(RequestHandler):
    """One request: its caller admitted, its body bounded, and its failures sent as JSON, never as a success."""

    public = False
    max_body_bytes = 64 << 10

    service: Service
    caller = UNKNOWN

    def initialize(self, service: Service) -> None:
        self.service = service
        self.body = bytearray()
        self._client_left = False
        self.request_id = request_ids.request_id(self.request.headers)

    def set_default_headers(self) -> None:
        self.set_header("Server", "reelscribe")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", NO_PAGE)
        for name, value in self.caller.evidence.answer_headers.items():
            self.set_header(name, value)

    def do_not_buffer(self) -> None:
        """Have nginx pass this answer on as it is written; by default it collects answers first."""
        self.set_header("X-Accel-Buffering", "no")

    def prepare(self) -> None:
        """Refuse what the caller may not do, another site's page above all, and new work while the service stops."""
        log_context.note(request_id=self.request_id)
        self.set_header("X-Request-Id", self.request_id)
        connection: Any = self.request.connection
        connection.set_max_body_size(self.max_body_bytes + DRAINED_BYTES)
        if isinstance(connection.stream, ServiceStream):
            connection.stream.begin_request(self.request_id, self.request.version)
        self.caller = self.service.access.caller(self.request)
        self.set_default_headers()  # of a caller that is known; errors have them too
        try:
            self.service.access.admit(self.caller, self.request, type(self), self.public)
        except errors.ScopeMissing:
            if (takes := self.methods()) and self.request.method not in takes:  # no scope would do
                raise HTTPError(405) from None
            raise
        if self.declared_bytes > self.max_body_bytes + DRAINED_BYTES:
            raise self.too_large()  # the connection is closed with its body unread
        if self.service.stopping.is_set() and not self.public:
            raise errors.Stopping(f"{self.service.name} is shutting down; try again in a moment")
        self.service.running.add(self)
        self.service.idle.clear()

    @property
    def declared_bytes(self) -> int:
        """Length of the body; 0 if it is sent in chunks, or if tornado will refuse the header."""
        length = re.fullmatch("[0-9]{1,18}", self.request.headers.get("Content-Length", ""))
        return int(length[0]) if length else 0

    async def head(self, *path: str) -> None:
        """Answer as GET does, up to the first part of a body that is streamed."""
        with suppress(_HeadersSent):
            answering: Awaitable[None] | None = self.get(*path)
            if answering:
                await answering

    def lose_token(self) -> None:
        """The token that this request showed is gone, or may do less. What ends by itself may end as it would have."""

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if len(self.body) <= self.max_body_bytes:
            self.body += chunk
        return None

    def read_body(self, model: type[Model]) -> Model:
        """The JSON body as ``model``.

        Raises:
            BadRequest: see :func:`reelscribe.http.server.parsing.parse_request`.
            BodyTooLarge: it is over ``max_body_bytes``.
            UnsupportedMediaType: it is not declared as JSON, as requests of other sites' forms cannot be.
        """
        if len(self.body) > self.max_body_bytes:
            raise self.too_large()
        if self.body:
            self._check_declared_as_json()
        request: Model = log_context.noting_savepath(parse_request(model, bytes(self.body)))
        return request

    def _check_declared_as_json(self) -> None:
        given = self.request.headers.get("Content-Type", "")
        if given.partition(";")[0].strip().lower() != "application/json":
            found = f"it is {given[:100]!r}" if given else "there is none"
            raise errors.UnsupportedMediaType(
                f"send the body with the header 'Content-Type: application/json'; {found}"
            )

    def read_query(self, model: type[Model]) -> Model:
        """The URL's query as ``model``.

        Raises:
            BadRequest: see :func:`reelscribe.http.server.parsing.parse_query`.
        """
        query: Model = log_context.noting_savepath(parse_query(model, self.request.query_arguments))
        return query

    def too_large(self) -> errors.BodyTooLarge:
        """The refusal of a body over ``max_body_bytes``."""
        return errors.BodyTooLarge(f"the body is over {self.max_body_bytes} bytes", limit=self.max_body_bytes)

    def internal_error(self) -> errors.InternalError:
        """What a client is to know of a fault of ours."""
        return errors.InternalError(f"{self.service.name} failed; its log has the reason under {self.request_id}")

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Send the failure as JSON; if a body has begun, cut the connection: a body that ends would look complete."""
        if self._headers_written:
            self._count_failure(_as_service_error(500, kwargs.get("exc_info", (None, None, None))[1], self))
            self.cut()
        else:
            super().send_error(status_code, **kwargs)

    def flush(self, include_footers: bool = False) -> "Future[None]":
        if not self._headers_written:
            self.service.first_byte_seconds.labels(self._route).observe(self.request.request_time())
            stream = self.request.connection.stream  # type: ignore[union-attr]
            if isinstance(stream, ServiceStream) and not stream.request_is_read:
                self.set_header("Connection", "close")  # tornado closes it then, and says so only to HTTP/1.0
        flushed = super().flush(include_footers)
        if self.request.method == "HEAD" and not include_footers:
            raise _HeadersSent
        return flushed

    def cut(self) -> None:
        """Close the connection without the final chunk, so that the client sees an incomplete body."""
        if self._finished:
            return
        stream = self.detach()
        if self.request.version == "HTTP/1.0" and not stream.closed():
            reset_on_close(stream)  # it has no chunks: the end of a connection is the end of its body
        stream.close()
        self._log()
        self.on_finish()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._client_left = True
        self._leave()  # tornado never finishes a request whose client left before its body was complete

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        failure = _as_service_error(status_code, kwargs.get("exc_info", (None, None, None))[1], self)
        self._count_failure(failure)
        self.set_status(failure.status)
        self.set_header("X-Request-Id", self.request_id)
        if isinstance(seconds := failure.details.get("retry_after"), int):
            self.set_header("Retry-After", str(seconds))
        elif isinstance(failure, errors.Unauthorized):
            self.set_header("WWW-Authenticate", "Bearer")
        elif isinstance(failure, errors.MethodNotAllowed):
            self.set_header("Allow", ", ".join(self.methods()))
        elif isinstance(failure, errors.RangeNotSatisfiable):
            self.set_header("Content-Range", f"bytes */{failure.details['size']}")
        self.finish_error(failure)

    def finish_error(self, failure: errors.ServiceError) -> None:
        """Send the body of a failure, whose status and headers are set."""
        self.finish(self.error_body(failure))

    def error_body(self, failure: errors.ServiceError) -> dict[str, Any]:
        """The JSON of a failure."""
        return {"error": {**failure.as_json(), "request_id": self.request_id}}

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if isinstance(value, errors.ServiceError):
            if self.service.outage_lines.is_new(value):
                log.warning("%s %s: %s: %s", self.request.method, self.request.path, value.code, value.message)
        elif isinstance(value, (StreamClosedError, HTTPError)):
            log.info("%s %s: %s", self.request.method, self.request.path, value)
        else:
            log.error("%s %s", self.request.method, self.request.path, exc_info=value)

    @classmethod
    def methods(cls) -> list[str]:
        """The HTTP methods that this handler takes; whatever takes GET takes HEAD."""
        takes = {name: getattr(cls, name.lower()) for name in cls.SUPPORTED_METHODS}
        own = {name for name, method in takes.items() if method is not getattr(RequestHandler, name.lower())}
        if takes["HEAD"] is ServiceHandler.head and "GET" not in own:
            own.discard("HEAD")
        return [name for name in cls.SUPPORTED_METHODS if name in own]

    @property
    def _route(self) -> str:
        return type(self).__name__.removesuffix("Handler")

    def _count_failure(self, failure: errors.ServiceError) -> None:
        self.service.failures.labels("client_left" if self._client_left else failure.code).inc()

    def _leave(self) -> None:
        self.service.running.discard(self)
        if not self.service.running:
            self.service.idle.set()

    def on_finish(self) -> None:
        self._leave()
        # Clients can invent methods; each would stay in memory as a label.
        method = self.request.method if self.request.method in self.SUPPORTED_METHODS else "other"
        self.service.requests.labels(method, self._route, str(self.get_status())).inc()
        self.service.request_seconds.labels(self._route).observe(self.request.request_time())


def _as_service_error(status: int, raised: BaseException | None, handler: ServiceHandler) -> errors.ServiceError:
    path, method = handler.request.path, handler.request.method
    if isinstance(raised, errors.ServiceError):
        return raised
    if status == 404:
        return errors.RouteNotFound(f"there is no {path} on {handler.service.name}")
    if status == 405:
        return errors.MethodNotAllowed(f"{path} does not take {method}")
    if status < 500:
        return errors.BadRequest(f"{method} {path}: {handler._reason}")
    return handler.internal_error()


class NoRouteHandler(ServiceHandler):
    """Answers every URL that no service has."""

    def prepare(self) -> None:
        super().prepare()
        raise HTTPError(404)
