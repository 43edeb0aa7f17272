"""A client of the transcribers' HTTP API: their health, and the events of a transcription as they arrive."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import httpx
from pydantic import ValidationError

from reelscribe.contracts.events import NDJSON, Event, events
from reelscribe.contracts.messages import Health
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.errors import PeerUnreachable, ServiceError, StreamCut
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.requests import as_service_errors, close_answer, refusal, showing, unexpected
from reelscribe.http.request_ids import pass_on
from reelscribe.text.urls import without_password
from reelscribe.trust import tls_context

CONNECT_SECONDS = 3.0
HEALTH_SECONDS = 3.0
KEPT_SECONDS = 1.0
"""How long after an answer a connection may be used again."""
END_SECONDS = 0.1
"""For the end of an answer after its last event, which comes with it; after it, the connection may be used again."""

READING_CODES = {
    *("bucket_unavailable", "peer_unreachable", "peer_refused"),
    *("unauthorized", "scope_missing", "host_not_allowed", "route_not_found"),
}
"""Error codes within a transcription that say that no recording of the bucket can be read now: it is not mounted, say,
or the extractor is away. They say nothing of this recording.
"""

UNAVAILABLE_CODES = {*READING_CODES, "busy", "stopping", "model_not_loaded"}
"""Error codes of a service that cannot work now, or is configured wrongly: the job waits and uses up no attempt."""


class CannotTakeJob(Exception):
    """This transcriber cannot take the job now; another one may."""

    def __init__(self, reason: ServiceError) -> None:
        super().__init__(reason.message)
        self.reason = reason


class EventStream:
    """One recording being transcribed by the transcriber at ``url``."""

    def __init__(self, url: str, response: httpx.Response, progress_timeout: float) -> None:
        self.url = without_password(url)
        self._response = response
        self._progress_timeout = progress_timeout

    async def events(self) -> AsyncGenerator[list[Event], None]:
        """Its events as they arrive, each time those that have arrived together.

        Raises:
            StreamCut: the stream broke off, or was silent for too long.
        """
        with _reading(self.url, self._progress_timeout):
            async for arrived in events(self._response.aiter_bytes()):
                yield arrived

    async def close(self) -> None:
        """Close the connection unless its answer is complete, which ends the work of the transcriber."""
        await close_answer(self._response)


class TranscriberClient:
    """Talks to transcribers; use it as ``async with``.

    Args:
        progress_timeout: silence in seconds after which a transcriber is considered stalled.
    """

    def __init__(self, tokens: Tokens, progress_timeout: float) -> None:
        self._progress_timeout = progress_timeout
        # Short jobs that follow each other take one connection: one that was closed since is noticed before it is used.
        # It is kept no longer: that a host is gone would be noticed only when its events do not come.
        self._http = httpx.AsyncClient(
            event_hooks={"request": [pass_on, showing(tokens)]},
            timeout=httpx.Timeout(progress_timeout, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=KEPT_SECONDS),
            verify=tls_context(shows_certificate=True),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def health(self, url: str) -> dict[str, Any]:
        """What the transcriber at ``url`` says of itself.

        Raises:
            ServiceError: it does not answer, or not as healthy.
        """
        with as_service_errors(name_of(url)):
            response = await self._http.get(f"{url}/healthz", timeout=HEALTH_SECONDS)
        if response.status_code != 200:
            raise refusal(name_of(url), response)
        try:
            return Health.model_validate_json(response.content).model_dump()
        except ValidationError:
            raise unexpected(name_of(url), response.status_code) from None

    async def transcribe(self, url: str, request: TranscribeRequest) -> EventStream:
        """Have the transcriber at ``url`` transcribe; the caller closes the stream.

        Raises:
            CannotTakeJob: not now.
            ServiceError: it refused the job, or broke off.
        """
        body = request.model_dump(mode="json", exclude_defaults=True)
        try:
            with _reading(url, self._progress_timeout):
                http_request = self._http.build_request(
                    "POST", f"{url}/transcribe", json=body, headers={"Accept": NDJSON}
                )
                response = await self._http.send(http_request, stream=True)
                if response.status_code == 200:
                    return EventStream(url, response, self._progress_timeout)
                try:
                    await response.aread()
                finally:
                    await close_answer(response)
        except PeerUnreachable as unreachable:
            raise CannotTakeJob(unreachable) from unreachable
        refused = refusal(name_of(url), response)
        if refused.code in UNAVAILABLE_CODES:
            raise CannotTakeJob(refused)
        raise refused


async def read_end(events: AsyncGenerator[list[Event], None]) -> None:
    """Read what follows the last event, which is nothing, so that the connection may be used again."""
    with suppress(ServiceError, TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            async for _ in events:
                return


def name_of(url: str) -> str:
    """A transcriber for people."""
    return f"the transcriber at {without_password(url)}"


@contextmanager
def _reading(url: str, seconds: float) -> Iterator[None]:
    with as_service_errors(name_of(url)):
        try:
            yield
        except httpx.ReadTimeout as silent:
            raise StreamCut(f"{name_of(url)} was silent for {seconds:g} s") from silent
