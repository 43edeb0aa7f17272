"""A receiver of webhooks, over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.waiting import eventually


class Received(NamedTuple):
    """A request that came; ``connection`` is the sender's port."""

    path: str
    headers: HTTPHeaders
    body: bytes
    connection: int

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message


class Receiver:
    """Answers each request with the next of ``answers``, and with 204 after them.

    Attributes:
        answers: statuses, each perhaps with a ``Location`` or ``Retry-After``; None: no answer at all.
        received: what came.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]] | int | None] = []
        self.received: list[Received] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=url-secret"

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator["Receiver"]:
        server = HTTPServer(Application([("/.*", ReceiverHandler, {"receiver": self})]))
        if port:
            server.listen(port, "127.0.0.1")
        else:
            socket, port = bind_unused_port()
            server.add_socket(socket)
        self.port = port
        try:
            yield self
        finally:
            server.stop()
            await server.close_all_connections()

    async def gets(self, count: int) -> list[Received]:
        """Wait for so many requests."""
        await eventually(lambda: len(self.received) >= count)
        return self.received


class ReceiverHandler(RequestHandler):
    def initialize(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.left = asyncio.Event()

    def on_connection_close(self) -> None:
        self.left.set()

    async def post(self) -> None:
        receiver = self.receiver
        request = self.request
        assert isinstance(request.connection, HTTP1Connection)
        _, port, *_ = request.connection.stream.socket.getpeername()
        receiver.received.append(Received(request.uri or "", request.headers, request.body, port))
        answer = receiver.answers.pop(0) if receiver.answers else 204
        if answer is None:
            await self.left.wait()
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        if status == 200:
            self.write("thank you")
