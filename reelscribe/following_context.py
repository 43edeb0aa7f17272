"""A TLS context for clients that live long: each connection is made by another context, the one of that moment."""

import socket
import ssl
from collections.abc import Callable
from typing import Any, Self


class FollowingContext(ssl.SSLContext):
    """Looks like a client's context that verifies, and makes connections by the one that ``current`` returns.

    Libraries take such a subclass for what it is: httpx (by anyio) calls :meth:`wrap_bio`, urllib3 :meth:`wrap_socket`.
    """

    _current: Callable[[], ssl.SSLContext]

    def __new__(cls, current: Callable[[], ssl.SSLContext]) -> Self:
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context._current = current
        return context

    def __init__(self, current: Callable[[], ssl.SSLContext]) -> None:
        """``__new__`` has done all."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self._current().wrap_bio(*args, **kwargs)

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return self._current().wrap_socket(sock, *args, **kwargs)
