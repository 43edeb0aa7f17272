"""Requests to another service: the token that they show, and its failures as our own errors: it does not answer, it
breaks off, it refuses.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import httpx

from reelscribe.errors import PeerUnreachable, RemoteError, StreamCut
from reelscribe.http.access.tokens import Tokens

_TLS_ADVICE = {
    "ALERT_CERTIFICATE_REQUIRED": "it asks clients for a certificate: set [auth] tls_client_cert and tls_client_key",
    "ALERT_HANDSHAKE_FAILURE": "if it asks clients for a certificate, set [auth] tls_client_cert and tls_client_key",
    "ALERT_UNKNOWN_CA": "no authority of its tls_client_ca has signed the certificate of [auth] tls_client_cert",
    "ALERT_CERTIFICATE_EXPIRED": "the certificate of [auth] tls_client_cert has expired",
    "ALERT_CERTIFICATE_UNKNOWN": "its log says what is wrong with the certificate of [auth] tls_client_cert",
    "unable to get local issuer": "name the authority of its certificate in [auth] tls_ca",
    "self-signed certificate": "name the authority of its certificate in [auth] tls_ca",
    "does not include key usage": (
        "Python 3.13 and newer refuse this authority; make its certificate again with the same key, as"
        " docs/three-machines.md says below New tokens and certificates"
    ),
}
"""What is to be done about a certificate, by OpenSSL's words: of a server's alert, it is ours; else the server's."""

LONGEST_REASON = 200
"""Characters; what is no HTTP is quoted in it."""


KEEPALIVE: tuple[tuple[int, int, int], ...] = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""Options of a socket: a host that is silent for 25 s although it is asked, or has started again, is gone. The longest
silence of a service that works may be longer."""


def noticing_lost_peers(limits: httpx.Limits, trusted: ssl.SSLContext) -> dict[str, httpx.AsyncBaseTransport]:
    """``mounts`` of a client that only reads for a long time; proxies named in the environment are still used."""
    return {"all://": httpx.AsyncHTTPTransport(verify=trusted, limits=limits, socket_options=KEEPALIVE)}


Hook = Callable[[httpx.Request], Awaitable[None]]


def showing(tokens: Tokens) -> Hook:
    """An event hook of a client whose requests show the token that is the first when they are sent."""

    async def show(request: httpx.Request) -> None:
        for name, value in tokens.headers().items():
            request.headers.setdefault(name, value)  # a URL may have a password, for a proxy

    return show


@contextmanager
def as_service_errors(what: str) -> Iterator[None]:
    """Turn httpx's errors into :class:`PeerUnreachable` and :class:`StreamCut`, both about ``what``."""
    try:
        yield
    except ssl.SSLError as refused:  # httpx passes on what comes after the handshake of the client is done
        raise PeerUnreachable(f"{what} does not answer: {_tls_reason(str(refused))}") from refused
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as unreachable:
        raise PeerUnreachable(f"{what} does not answer: {_reason(unreachable)}") from unreachable
    except httpx.HTTPError as cut:
        raise StreamCut(f"{what} broke off: {_reason(cut)}") from cut


async def close_answer(response: httpx.Response) -> None:
    """Close a streamed answer, and its connection if the answer is not complete, also if this is cancelled.

    httpcore marks an answer as closed before it closes the connection: a cancellation in between would leave it open.
    """
    await asyncio.shield(response.aclose())


def _reason(error: httpx.HTTPError) -> str:
    """Most of httpx's errors have no words but the name of their class."""
    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    return _tls_reason(str(error)[:LONGEST_REASON]) or "the connection was lost"


def _tls_reason(words: str) -> str:
    """What has failed, and if it was a certificate what to do about it."""
    advice = next((advice for about, advice in _TLS_ADVICE.items() if about in words), None)
    return f"{words}; {advice}" if advice else words


def refusal(peer: str, response: httpx.Response) -> RemoteError:
    """The error in another service's answer, whose body has been read; ``peer`` is its name for people."""
    try:
        error = json.loads(response.content)["error"]
        code, message, retryable = error.pop("code"), error.pop("message"), error.pop("retryable")
        return RemoteError(response.status_code, str(code), str(message), bool(retryable), **error)
    except (ValueError, KeyError, TypeError, AttributeError):
        return unexpected(peer, response.status_code)


def unexpected(peer: str, status: int) -> RemoteError:
    """The error for an answer that no service of ours gives: something else listens there, or a proxy answered."""
    message = f"HTTP {status} from {peer}, but no answer of its API; check that its URL in config.cfg leads to it"
    return RemoteError(status if status >= 400 else 502, "unexpected_answer", message, status >= 500)
