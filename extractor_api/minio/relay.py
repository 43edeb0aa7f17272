"""Gives ffmpeg a remote object as a seekable input on 127.0.0.1.

ffmpeg itself gets no address, key or signature of the storage, cannot be redirected, and need not know which
certificates to trust: TLS, retries and the object's etag are handled here. The URL has a random path and is valid for
one object while that is open; ffmpeg reads it from a memory file (``concatf``), because every local user can read a
command line.
"""

import asyncio
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from reelscribe.errors import ServiceError

PROTOCOLS = "concatf,file,http,tcp"

_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})$")

Write = Callable[[bytes], Awaitable[None]]


class RemoteObject(Protocol):
    """What is relayed."""

    size: int
    failure: ServiceError | None

    async def copy(self, start: int, end: int, write: Write) -> None:
        """Write the content from ``start`` up to ``end``."""


@asynccontextmanager
async def relay(remote: RemoteObject) -> AsyncIterator[str]:
    """Serve ``remote`` until the block ends; yields its URL. An error while it is read is kept as its ``failure``."""
    token, running = secrets.token_urlsafe(32), set[asyncio.Task[None]]()
    arguments = {"remote": remote, "token": token, "running": running}
    server = HTTPServer(Application([(r"/(.*)", _RelayHandler, arguments)], log_function=lambda handler: None))
    (listener,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(listener)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/{token}"
    finally:
        server.stop()
        for copying in running:
            copying.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.close_all_connections()


class _RelayHandler(RequestHandler):
    def initialize(self, remote: RemoteObject, token: str, running: set[asyncio.Task[None]]) -> None:
        self._remote, self._token, self._running = remote, token, running
        self._copying: asyncio.Task[None] | None = None

    async def get(self, token: str) -> None:
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise HTTPError(404)
        start, end = self._range()
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", str(end - start))
        if end - start != self._remote.size:
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {start}-{end - 1}/{self._remote.size}")
        self._missing = end - start
        self._copying = asyncio.create_task(self._copy(start, end))
        self._running.add(self._copying)
        self._copying.add_done_callback(self._running.discard)
        with suppress(asyncio.CancelledError):  # ffmpeg has seeked, or has ended
            await self._copying
        if self._missing:
            self.detach().close()

    def on_connection_close(self) -> None:
        if self._copying:
            self._copying.cancel()

    async def _copy(self, start: int, end: int) -> None:
        try:
            await self._remote.copy(start, end, self._write)
        except StreamClosedError:
            pass
        except ServiceError as failure:
            self._remote.failure = failure

    async def _write(self, chunk: bytes) -> None:
        self._missing -= len(chunk)
        self.write(chunk)
        await self.flush()

    def _range(self) -> tuple[int, int]:
        size = self._remote.size
        match = _RANGE.match(self.request.headers.get("Range", ""))
        start, end = (int(match[1]), min(size, int(match[2]) + 1) if match[2] else size) if match else (0, size)
        if start > end or start == size > 0:
            raise HTTPError(416)
        return start, end
