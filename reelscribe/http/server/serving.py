"""A service from the moment it listens until it has stopped: its sockets, signals and certificate."""

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from tornado.netutil import bind_sockets
from tornado.tcpserver import TCPServer
from tornado.web import Application

from reelscribe import service_manager
from reelscribe.errors import SettingsError
from reelscribe.http.server.connections import ServiceServer
from reelscribe.http.server.service import Service
from reelscribe.settings.shared import Listener
from reelscribe.stop_signals import RELOAD_SIGNALS, STOP_SIGNALS
from reelscribe.trust import load_authorities, load_certificate

log = logging.getLogger(__name__)

BODY_TIMEOUT_SECONDS = 30
HEADER_TIMEOUT_SECONDS = 75


@asynccontextmanager
async def supervised(service: Service) -> AsyncIterator[None]:
    """During the block, signals set ``stopping`` or have the service read its files again, systemd gets to know how it
    is, and changed files are noticed.
    """
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        reloads = number in RELOAD_SIGNALS
        loop.add_signal_handler(number, service.renewal.reload if reloads else service.stopping.set)
    tasks = [
        asyncio.create_task(service_manager.report(service.stopping, service.stalled)),
        asyncio.create_task(service.renewal.watch()),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def serve(
    service: Service,
    application: Application,
    listener: Listener,
    stop_work: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Listen until a signal stops it, then stop accepting, let requests end within ``grace_seconds``, and return.

    Args:
        stop_work: called when the service stops, to hand back work that would take longer than ``grace_seconds``.

    Raises:
        SettingsError: the address is in use or not of this host, or the certificate is unusable.
    """
    server = ServiceServer(
        application,
        ssl_options=_server_context(listener),
        body_timeout=BODY_TIMEOUT_SECONDS,
        idle_connection_timeout=HEADER_TIMEOUT_SECONDS,
    )
    try:
        # "::" alone would be IPv6 only, whatever the system's default: tornado sets IPV6_V6ONLY.
        sockets = bind_sockets(listener.port, None if listener.host == "::" else listener.host)
    except OSError as refused:
        raise SettingsError([f"cannot listen on {listener.host}:{listener.port}: {refused.strerror}"]) from None
    server.listen_at(sockets, service.lost_client_seconds)
    service.access.hosts.add_own_full_name()
    service.access.asks_for_certificate = listener.tls_client_ca is not None
    service.public_url = listener.public_url
    scheme, port = "https" if listener.tls_cert else "http", sockets[0].getsockname()[1]
    host = f"[{listener.host}]" if ":" in listener.host else listener.host
    reached = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    service.address = f"{scheme}://{reached}:{port}"
    service.listening.set()
    service.renewal.add("certificates", _certificate_files(listener), partial(_renew_certificate, server, listener))
    async with supervised(service):
        known_as = f", for clients {listener.public_url}" if listener.public_url else ""
        log.info("%s: server running on %s://%s:%d%s", service.name, scheme, host, port, known_as)
        if not service.access.tokens and not listener.is_loopback:
            service.warnings.append(f"{service.access.those_without_token} may use it; set [auth] token_file")
            log.warning("%s: listens on %s: %s", service.name, listener.host or "all addresses", service.warnings[-1])
        await service.stopping.wait()
        log.info("%s: stopping", service.name)
        server.stop()
        if stop_work:
            await stop_work()
        with suppress(TimeoutError):
            async with asyncio.timeout(listener.grace_seconds):
                await service.idle.wait()
        await server.close_all_connections()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:  # a second one must not kill the process between the loop's end and its own
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
    log.info("%s: stopped", service.name)


def _server_context(listener: Listener) -> ssl.SSLContext | None:
    """What TLS needs; None: the service speaks plain HTTP.

    Raises:
        SettingsError: the certificate, its key or the authorities of clients cannot be used.
    """
    if not listener.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_certificate(context, listener.tls_cert, listener.tls_key, "tls")
    if listener.tls_client_ca:
        load_authorities(context, listener.tls_client_ca, "tls_client_ca")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _renew_certificate(server: TCPServer, listener: Listener) -> None:
    """Have a server use what the files hold now, for new connections.

    Raises:
        SettingsError: see :func:`_server_context`; then it uses what it has.
    """
    server.ssl_options = _server_context(listener)  # tornado looks at it for each connection


def _certificate_files(listener: Listener) -> tuple[Path, ...]:
    """What :func:`_server_context` reads."""
    return tuple(filter(None, (listener.tls_cert, listener.tls_key, listener.tls_client_ca)))
