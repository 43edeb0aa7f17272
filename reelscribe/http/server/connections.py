"""Connections of a service: what cannot be read as HTTP is answered as JSON, and a half-closed client gets its answer.

Tornado answers what it cannot read with a bare 400, or not at all, and takes a client that has closed its sending side
for one that has left. Both look the same to a server (RFC 9293, section 3.6), until it sends something: a client that
has left resets the connection. So a client of HTTP/1.1 that closes its side before its answer has begun is sent
``100 Continue``, which clients skip (RFC 9110, section 15.2), again and again until then.
"""

import json
import os
import select
import socket
import ssl
import struct
import sys
import uuid
from asyncio import Future
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPInputError, HTTPMessageDelegate
from tornado.iostream import BaseIOStream, IOStream, SSLIOStream, StreamClosedError, UnsatisfiableReadError

from reelscribe.errors import BadRequest, HeadersTooLarge, ServiceError

NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
"""The ``Content-Security-Policy`` of what is no page: a browser that shows it anyway runs and loads nothing."""
PROBE_SECONDS = 0.5
_BARE_REFUSAL = b"HTTP/1.1 400 Bad Request\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASON_SECONDS = 5.0
"""For a client to read why its connection ends."""
_MOST_KEPT = 64
"""Clients that can read it at the same time; more of them are not waited for."""
_DROPPED_BYTES = 1 << 20
"""How much of what has arrived already is dropped before a close, which would reset the connection otherwise."""


class ServiceStream(BaseIOStream):
    """A connection of a service; its state is that of the request being served."""

    _request_id: str | None = None
    """None until its headers are complete."""
    _answered = _refused = _probing = _continued = _can_probe = _ended = False
    request_is_read = False
    """Whether all of it has come; an answer before that ends the connection, for what follows would be its body."""

    def await_request(self) -> None:
        """The next request comes now."""
        self._request_id, self._answered, self._can_probe, self.request_is_read = None, False, False, False

    def begin_request(self, request_id: str, version: str) -> None:
        """The headers of a request have come, in this version of HTTP."""
        self._request_id, self._can_probe = request_id, version == "HTTP/1.1"

    def write(self, data: bytes | memoryview) -> "Future[None]":
        if data == _BARE_REFUSAL and isinstance(unreadable := sys.exception(), HTTPInputError):
            return self._refuse(BadRequest(f"the request is not valid HTTP: {unreadable}"))
        self._answered = self._answered or not bytes(data[:12]).startswith(b"HTTP/1.1 100")
        return super().write(data)

    def _refuse(self, failure: ServiceError) -> "Future[None]":
        answer = b"" if self._answered else _error_answer(failure, self._request_id or uuid.uuid4().hex)
        self._answered = self._refused = True
        return super().write(answer)

    def close(self, exc_info: Any = False) -> None:
        if not self.closed():
            with suppress(StreamClosedError, OSError):
                if isinstance(exc_info, UnsatisfiableReadError):
                    in_body = BadRequest("the request is not valid HTTP: the length of a chunk is too long")
                    self._refuse(in_body if self._request_id else HeadersTooLarge("the headers are over 64 KiB"))
                if self._refused or (self._answered and not self.request_is_read):
                    self._drop_what_has_come()
        super().close(exc_info)

    def _drop_what_has_come(self) -> None:
        buffer = bytearray(1 << 16)
        for _ in range(_DROPPED_BYTES // len(buffer)):
            if not super().read_from_fd(buffer):
                return

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        count = super().read_from_fd(buf)
        if count != 0:
            return count
        if self.reading():
            if not self._ended:  # what has come already may be a complete request
                self._ended = True
                return None
            if self._request_id:
                self._refuse(BadRequest("the body ended before its declared length"))
            return 0
        if not self._may_be_there():
            return 0
        self._probe()
        buf[:1] = b"\0"  # while something is unread, tornado does not look whether the client has left
        return 1

    def client_has_ended(self) -> None:
        """The client has closed its side, which tornado has not noticed."""
        if not self._probing:
            if self._may_be_there():
                self._probe()
            else:
                self.close()

    def _may_be_there(self) -> bool:
        return self._can_probe and not self._answered

    def _probe(self) -> None:
        """See whether the client has left, now and every half second."""
        self._see_whether_it_has_left()
        if not self._probing:
            self._probing = True
            self.io_loop.call_later(PROBE_SECONDS, self._probe_again)

    def _probe_again(self) -> None:
        if self.closed():
            return
        self._continued = False
        self._see_whether_it_has_left()
        self.io_loop.call_later(PROBE_SECONDS, self._probe_again)

    def _see_whether_it_has_left(self) -> None:
        if self.closed():
            return
        if _is_reset(self):
            self.close()
        elif not self._answered and not self._continued:
            self._continued = True
            with suppress(StreamClosedError):
                self.write(_CONTINUE)


class _PlainStream(ServiceStream, IOStream):
    pass


class _TlsStream(ServiceStream, SSLIOStream):
    def close(self, exc_info: Any = False) -> None:
        if isinstance(exc_info, ssl.SSLError) and not self.closed():
            self._let_it_be_read()
        super().close(exc_info)

    def _let_it_be_read(self) -> None:
        """Keep the socket for a while: OpenSSL has sent why it ends the connection, such as that no certificate was
        shown. In TLS 1.3 the client may have sent its request by then, and to close a socket with something unread
        resets the connection, which takes the reason with it.
        """
        if len(_kept) >= _MOST_KEPT:
            return
        with suppress(OSError):
            kept = socket.socket(fileno=os.dup(self.socket.fileno()))
            _kept.add(kept)
            self.io_loop.call_later(_REASON_SECONDS, _release, kept)
            kept.shutdown(socket.SHUT_WR)


_kept: set[socket.socket] = set()
"""Of connections that are closed; see :meth:`_TlsStream._let_it_be_read`."""


def _release(kept: socket.socket) -> None:
    _kept.discard(kept)
    kept.close()


class ServiceServer(HTTPServer):
    """Tornado's server with connections of our own."""

    def listen_at(self, sockets: list[socket.socket], lost_client_seconds: int | None) -> None:
        """Accept clients; one that confirms nothing of what is sent to it for so long has left."""
        if lost_client_seconds:
            for each in sockets:  # the connections that it accepts inherit it
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * lost_client_seconds)
        self.add_sockets(sockets)

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        # Tornado has no way to have it make another class of streams.
        stream.__class__ = _TlsStream if isinstance(stream, SSLIOStream) else _PlainStream
        super().handle_stream(stream, address)

    async def close_all_connections(self) -> None:
        await super().close_all_connections()
        for kept in tuple(_kept):
            _release(kept)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        stream = request_conn.stream  # type: ignore[attr-defined]
        stream.await_request()
        return _RequestReading(super().start_request(server_conn, request_conn), stream)


class _RequestReading(HTTPMessageDelegate):
    """Notes in the stream when a request is complete."""

    def __init__(self, delegate: HTTPMessageDelegate, stream: ServiceStream) -> None:
        self._delegate = delegate
        self._stream = stream
        self.headers_received = delegate.headers_received  # type: ignore[method-assign]
        self.data_received = delegate.data_received  # type: ignore[method-assign]
        self.on_connection_close = delegate.on_connection_close  # type: ignore[method-assign]

    def finish(self) -> None:
        self._stream.request_is_read = True
        self._delegate.finish()


def _is_reset(stream: BaseIOStream) -> bool:
    poll = select.poll()
    poll.register(stream.fileno(), 0)  # errors and hang-ups are always reported
    return bool(poll.poll(0))


def reset_on_close(stream: IOStream) -> None:
    """Have the client see a connection that is broken, not ended, when this one is closed."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _error_answer(failure: ServiceError, request_id: str) -> bytes:
    body = json.dumps({"error": {**failure.as_json(), "request_id": request_id}}).encode()
    head = (
        f"HTTP/1.1 {failure.status} {HTTPStatus(failure.status).phrase}",
        "Server: reelscribe",
        "Content-Type: application/json; charset=UTF-8",
        "X-Content-Type-Options: nosniff",
        f"Content-Security-Policy: {NO_PAGE}",
        f"X-Request-Id: {request_id}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body
