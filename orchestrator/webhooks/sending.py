"""One attempt to send a message: to the address that was checked, bounded in time, and followed nowhere else."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple, Self

import httpx

from orchestrator.webhooks.receiver_address import addresses
from orchestrator.webhooks.signing import Secrets
from reelscribe.errors import PeerUnreachable, ServiceError
from reelscribe.http.peers.requests import as_service_errors, close_answer
from reelscribe.http.peers.retry_after import seconds_to_wait
from reelscribe.settings.orchestrator import WebhooksSection
from reelscribe.trust import tls_context
from reelscribe.version import version

GONE = 410
KEPT_SECONDS = 1.0
"""For the next message; less than receivers keep a connection on which nothing comes."""
LONGEST_BODY = 65536
READING_SECONDS = 1.0
"""For the body of an answer."""


class Reply(NamedTuple):
    """How an attempt ended.

    Attributes:
        status: of the HTTP answer; None if there was none.
        failure: why it is not delivered; None if it is. It names the receiver's host, and no more of its URL.
        retry_after: seconds that the receiver asks for; 0 if it does not.
    """

    status: int | None
    failure: str | None = None
    retry_after: float = 0.0


class Sender:
    """Sends messages; use it as ``async with``.

    Args:
        section: its hosts and times.
    """

    def __init__(self, secrets: Secrets, section: WebhooksSection) -> None:
        self._secrets = secrets
        self._timeout = section.timeout
        self._allowed = frozenset(section.allowed_hosts)
        self._connections: dict[str, _Connections] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close(list(self._connections))

    async def close_unused(self) -> None:
        """Close the connections to hosts that no message is sent to now."""
        now = time.monotonic()
        await self._close([host for host, kept in self._connections.items() if kept.expired(now)])

    async def _close(self, hosts: Iterable[str]) -> None:
        for kept in [self._connections.pop(host) for host in hosts]:
            await kept.http.aclose()

    async def send(self, url: str, message_id: str, body: bytes) -> Reply:
        """Send a message; whatever happens is a reply."""
        target = httpx.URL(url)
        host = target.raw_host.decode("ascii")
        try:
            with self._connected(host) as http:
                async with asyncio.timeout(self._timeout):
                    response = await self._send(http, target, host, message_id, body)
                await _end(response)
        except TimeoutError:
            return Reply(None, f"{host} has not answered within {self._timeout:g} s")
        except ServiceError as failed:
            return Reply(None, failed.message)
        if response.is_success:
            return Reply(response.status_code)
        redirect = ", a redirect, which is not followed" if 300 <= response.status_code < 400 else ""
        failure = f"{host} answered HTTP {response.status_code}{redirect}"
        return Reply(response.status_code, failure, seconds_to_wait(response.headers.get("Retry-After")) or 0.0)

    @contextmanager
    def _connected(self, host: str) -> Iterator[httpx.AsyncClient]:
        if (kept := self._connections.get(host)) is None:
            kept = self._connections[host] = _Connections()
        kept.users += 1
        try:
            yield kept.http
        finally:
            kept.users -= 1
            kept.unused_since = time.monotonic()

    async def _send(
        self, http: httpx.AsyncClient, url: httpx.URL, host: str, message_id: str, body: bytes
    ) -> httpx.Response:
        port = url.port or (443 if url.scheme == "https" else 80)
        failure = PeerUnreachable(f"{host} has no address")
        for address in await addresses(host, port, self._allowed):
            request = http.build_request(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers={
                    "Host": url.netloc.decode("ascii"),
                    "Content-Type": "application/json",
                    **self._secrets.headers(message_id, int(time.time()), body),
                },
                extensions={"sni_hostname": host},
                timeout=self._timeout,
            )
            try:
                with as_service_errors(host):
                    return await http.send(request, stream=True)
            except PeerUnreachable as unreachable:
                failure = unreachable
        raise failure


class _Connections:
    """To one host: httpx would take those for connections of another host of the same address.

    Attributes:
        users: attempts that run.
    """

    def __init__(self) -> None:
        self.users = 0
        self.unused_since = time.monotonic()
        self.http = httpx.AsyncClient(
            trust_env=False,  # a proxy would look up the name again
            follow_redirects=False,
            verify=tls_context(),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=KEPT_SECONDS),
            headers={"User-Agent": f"reelscribe/{version()}", "Accept": "*/*", "Accept-Encoding": "identity"},
        )

    def expired(self, now: float) -> bool:
        return not self.users and now - self.unused_since > KEPT_SECONDS


async def _end(response: httpx.Response) -> None:
    """Read past a short body, so that the connection can be kept; it is closed after a long or slow one."""
    passed = 0
    try:
        async with asyncio.timeout(READING_SECONDS):
            async for part in response.aiter_raw():
                passed += len(part)
                if passed > LONGEST_BODY:
                    return
    except (TimeoutError, httpx.HTTPError):
        pass  # it has answered
    finally:
        await close_answer(response)
