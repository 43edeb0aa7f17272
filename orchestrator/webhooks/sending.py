"""One attempt to send a message: to the address that was checked, bounded in time, and followed nowhere else."""

import asyncio
import time
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
        # No proxy of the environment, which would look up the name again; no kept connections, which httpx would take
        # for another host of the same address.
        self._http = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            verify=tls_context(),
            timeout=section.timeout,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            headers={"User-Agent": f"reelscribe/{version()}", "Accept": "*/*", "Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def send(self, url: str, message_id: str, body: bytes) -> Reply:
        """Send a message; whatever happens is a reply."""
        target = httpx.URL(url)
        host = target.raw_host.decode("ascii")
        try:
            async with asyncio.timeout(self._timeout):
                return await self._send(target, host, message_id, body)
        except TimeoutError:
            return Reply(None, f"{host} has not answered within {self._timeout:g} s")
        except ServiceError as failed:
            return Reply(None, failed.message)

    async def _send(self, url: httpx.URL, host: str, message_id: str, body: bytes) -> Reply:
        port = url.port or (443 if url.scheme == "https" else 80)
        failure = PeerUnreachable(f"{host} has no address")
        for address in await addresses(host, port, self._allowed):
            try:
                return await self._post(url, host, address, message_id, body)
            except PeerUnreachable as unreachable:
                failure = unreachable
        raise failure

    async def _post(self, url: httpx.URL, host: str, address: str, message_id: str, body: bytes) -> Reply:
        """What the receiver says in its body is not read."""
        request = self._http.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={
                "Host": url.netloc.decode("ascii"),
                "Content-Type": "application/json",
                **self._secrets.headers(message_id, int(time.time()), body),
            },
            extensions={"sni_hostname": host},
        )
        with as_service_errors(host):
            response = await self._http.send(request, stream=True)
        await close_answer(response)
        if response.is_success:
            return Reply(response.status_code)
        redirect = ", a redirect, which is not followed" if 300 <= response.status_code < 400 else ""
        failure = f"{host} answered HTTP {response.status_code}{redirect}"
        return Reply(response.status_code, failure, seconds_to_wait(response.headers.get("Retry-After")) or 0.0)
