"""Assistants on other hosts: the protocol over HTTP, with the tokens and limits of all our services.

Each request is answered by itself, as JSON: there are no sessions that a client could leave open.
"""

import asyncio
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from orchestrator.assistants.server import CALLER, make_server
from orchestrator.database.pool import CONNECTION_ERRORS
from orchestrator.session import Session
from reelscribe.contracts.scopes import Scope
from reelscribe.errors import OriginNotAllowed, SettingsError
from reelscribe.http.access.allowed_hosts import AllowedHosts
from reelscribe.http.access.proxies import TrustedProxies
from reelscribe.http.api.operations import JSON, Answer, Operation
from reelscribe.http.api.routes import Api
from reelscribe.http.server.service import Service, ServiceHandler
from reelscribe.http.server.serving import serve

DATABASE_SECONDS = 3.0
PATH = "/mcp"
NOT_PASSED_ON = ("authorization", "cookie")


class AssistantService(Service):
    """What the handlers share.

    Attributes:
        messages: answers the protocol's messages.
    """

    def __init__(self, session: Session) -> None:
        settings = session.settings
        super().__init__("mcp", session.tokens, AllowedHosts.of("mcp", settings.mcp))
        self.access.proxies = TrustedProxies.of(settings.auth)
        self.messages = StreamableHTTPSessionManager(
            make_server(session),
            json_response=True,
            stateless=True,
            max_request_body_size=MessageHandler.max_body_bytes,
        )
        self._pool = session.pool

    async def problems(self) -> list[str]:
        try:
            async with self._pool.connection(timeout=DATABASE_SECONDS):
                return []
        except CONNECTION_ERRORS:
            return ["the database does not answer"]


class MessageHandler(ServiceHandler):
    """``POST /mcp``: one message of the protocol, passed to its library as an ASGI request."""

    service: AssistantService
    max_body_bytes = 1 << 20

    def initialize(self, service: AssistantService) -> None:  # type: ignore[override]
        super().initialize(service)
        self._left = asyncio.Event()
        self._body_is_read = False
        self._answering: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Refuse the pages of other sites even with a token, as the protocol demands."""
        super().prepare()
        origin, host = self.request.headers.get("Origin"), self.request.headers.get("Host")
        if origin and not self.service.access.hosts.is_page_of(origin, host):
            raise OriginNotAllowed(
                "pages of other sites may not use this service; if they should, add their host to allowed_hosts in"
                " [mcp] of this service's config.cfg"
            )

    async def post(self) -> None:
        if len(self.body) > self.max_body_bytes:
            raise self.too_large()
        request = self.request
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": request.version.removeprefix("HTTP/"),
            "method": request.method,
            "scheme": request.protocol,
            "path": request.path,
            "raw_path": request.path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in request.headers.get_all()
                if name.lower() not in NOT_PASSED_ON
            ],
            "client": None,
            "server": None,
            CALLER: self.caller,
        }
        messages = self.service.messages
        self._answering = asyncio.create_task(messages.handle_request(scope, self._receive, self._send))
        await asyncio.wait([self._answering])
        if self._answering.cancelled():
            return
        self._answering.result()
        if not self._finished:
            self.finish()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._left.set()
        if self._answering:
            self._answering.cancel()  # what waits for the database would keep others waiting

    async def _receive(self) -> dict[str, Any]:
        if not self._body_is_read:
            self._body_is_read = True
            return {"type": "http.request", "body": bytes(self.body), "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.set_status(message["status"])
            self.clear_header("Content-Type")
            for name, value in message.get("headers", ()):
                self.set_header(name.decode("latin-1"), value.decode("latin-1"))
        elif not self._finished:
            self.write(message.get("body", b""))


API = Api(
    "Reelscribe for assistants",
    "Search, transcripts, lists and submissions for assistants, by the Model Context Protocol.",
    (
        Operation(
            "POST",
            PATH,
            "message",
            "One message of the Model Context Protocol (streamable HTTP, without sessions)",
            (Answer("The answer to a request.", {JSON: None}), Answer("A notification was taken.", {}, status=202)),
            scope=Scope.READ,
            handler=MessageHandler,
        ),
    ),
)


async def serve_assistants(session: Session) -> int:
    """Answer assistants over HTTP until SIGTERM or SIGINT. Returns the exit code.

    Raises:
        SettingsError: the address is taken, or the certificate is unusable.
    """
    service, mistake = AssistantService(session), None
    async with service.messages.run():  # it would raise a group of errors
        try:
            await serve(service, API.application(service), session.settings.mcp)
        except SettingsError as unusable:
            mistake = unusable
    if mistake:
        raise mistake
    return 0
