"""Real servers on free loopback ports, and config files to load."""

import asyncio
import io
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tornado.testing import bind_unused_port

from reelscribe import errors
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.scopes import Scope
from reelscribe.http.access.tokens import Token, Tokens
from reelscribe.http.api.operations import Operation
from reelscribe.http.api.routes import Api
from reelscribe.http.request_ids import pass_on
from reelscribe.http.server.connections import ServiceServer
from reelscribe.http.server.service import Service, ServiceHandler
from reelscribe.logs import Console

log = logging.getLogger(__name__)


class Order(WireModel):
    """A body that these tests send."""

    item: str


class OrderHandler(ServiceHandler):
    """Behaves as its URL says."""

    max_body_bytes = 1000

    async def post(self, way: str) -> None:
        if way == "echo":
            self.finish({"item": self.read_body(Order).item})
        elif way == "busy":
            raise errors.Busy("all slots are taken; try again", retry_after=7)
        elif way == "bug":
            raise ZeroDivisionError("a secret detail")
        elif way == "ask":
            log.info("asking for %s", self.request_id)
            async with httpx.AsyncClient(event_hooks={"request": [pass_on]}) as client:
                answer = await client.get(f"http://{self.request.host}/healthz")
            self.finish({"passed_on": answer.headers["X-Request-Id"]})
        else:
            self.write(b"the first half")
            await self.flush()
            raise errors.NotDecodable("the second half is missing")


class WaitHandler(ServiceHandler):
    """Flushes its headers, then runs until the test lets it end."""

    def initialize(self, service: Service) -> None:
        super().initialize(service)
        self.let_end: asyncio.Event = service.let_end  # type: ignore[attr-defined]

    async def get(self) -> None:
        await self.flush()
        await self.let_end.wait()
        self.finish("done")


class LateHandler(WaitHandler):
    """Answers when the test lets it, if the client is still there."""

    async def get(self) -> None:
        await self.let_end.wait()
        self.finish("done")


class ShopFallback(ServiceHandler):
    """Answers for all of the shop that does not exist."""

    def get(self) -> None:
        self.finish(f"no {self.request.path} here")


API = Api(
    "Test",
    "Behaves as its URLs say.",
    (
        Operation("POST", "/orders/{way}", "order", "", (), path_parameters={"way": r"\w+"}, handler=OrderHandler),
        Operation("GET", "/wait", "wait", "", (), handler=WaitHandler),
        Operation("GET", "/late", "late", "", (), scope=Scope.ADMIN, handler=LateHandler),
        Operation("GET", "/shop/a.b", "shop", "", (), handler=WaitHandler),
    ),
    fallbacks={"/shop/": ShopFallback},
)


class Served:
    """A service that listens, and a client of it."""

    def __init__(self, service: Service, port: int) -> None:
        self.service = service
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.AsyncClient(base_url=self.url)

    async def exchange(self, request: bytes) -> bytes:
        """Send raw bytes; return all that comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), 60)
        finally:
            writer.close()


@asynccontextmanager
async def serving(*tokens: Token | str) -> AsyncIterator[Served]:
    service = Service("test-service", Tokens(tokens))
    service.let_end = asyncio.Event()  # type: ignore[attr-defined]
    server = ServiceServer(API.application(service))
    listening, port = bind_unused_port()
    server.add_socket(listening)
    served = Served(service, port)
    try:
        yield served
    finally:
        service.let_end.set()  # type: ignore[attr-defined]
        await served.http.aclose()
        server.stop()
        await server.close_all_connections()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as service:
        yield service


@pytest.fixture
async def guarded() -> AsyncIterator[Served]:
    """Accepts the tokens ``first`` and ``second``."""
    async with serving("first", "second") as service:
        yield service


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged as JSON so far, a dictionary for each line."""
    written, root = io.StringIO(), logging.getLogger()
    console, level = Console(written, "json"), root.level
    root.addHandler(console)
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.removeHandler(console)
    root.setLevel(level)


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    """Write config.cfg and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "config.cfg"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("REELSCRIBE_")]:
        monkeypatch.delenv(name)
