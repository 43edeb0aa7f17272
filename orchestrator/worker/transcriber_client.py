"""The transcribers: which one to ask, and its events as they arrive."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType

import httpx

from orchestrator.errors import NoTranscriber
from orchestrator.worker import retry
from reelscribe.contracts.events import NDJSON, Event, Progress, events
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.errors import PeerUnreachable, ServiceError, StreamCut
from reelscribe.http.auth import Tokens
from reelscribe.http.peer import as_service_errors, refusal, unexpected

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
HEALTH_SECONDS = 3.0
RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0

probe_seconds = retry.exponential(first=1, longest=30)
"""How long a transcriber that failed so many times in a row is left alone before it is asked again."""

NOT_THE_JOBS_FAULT = {"busy", "stopping", "peer_unreachable", "unauthorized", "route_not_found", "model_not_loaded"}
"""Codes that say that a machine cannot work now, or is set up wrongly: the job waits and uses up no attempt."""


@dataclass
class Standing:
    """What we know of one transcriber.

    Attributes:
        running: jobs of ours.
        failures: in a row.
        back_at: monotonic second before which it is not asked, for the reason of ``trouble``.
    """

    url: str
    running: int = 0
    failures: int = 0
    back_at: float = 0.0
    trouble: ServiceError | None = None

    @property
    def obstacle(self) -> ServiceError | None:
        """Why it is not asked now."""
        return self.trouble if time.monotonic() < self.back_at else None

    def failed(self, trouble: ServiceError) -> None:
        """Leave it alone for longer than the last time. What fails together counts once."""
        if self.obstacle:
            return
        self.failures += 1
        pause = probe_seconds(self.failures)
        self.trouble, self.back_at = trouble, time.monotonic() + pause
        log.warning("%s; it gets no job for %.0f s", trouble.message, pause)

    def worked(self) -> None:
        """It has proved itself."""
        if self.failures:
            log.info("%s is back", _name(self.url))
        self.failures, self.back_at, self.trouble = 0, 0.0, None


class Stream:
    """One recording being transcribed by the transcriber at ``url``."""

    def __init__(self, b: Standing, response: httpx.Response, progress_timeout: float) -> None:
        self.url = b.url
        self._b = b
        self._response = response
        self._progress_timeout = progress_timeout

    async def events(self) -> AsyncGenerator[Event, None]:
        """Its events as they arrive.

        Raises:
            StreamCut: the stream broke off, or was silent for too long.
        """
        with _patience(self.url, self._progress_timeout):
            async for event in events(self._response.aiter_lines()):
                if isinstance(event, Progress):
                    self._b.worked()
                yield event


class Transcribers:
    """All transcribers of this orchestrator; use it as ``async with``.

    Args:
        urls: base URLs.
        progress_timeout: silence in seconds after which a transcriber is taken for dead.
    """

    def __init__(self, urls: tuple[str, ...], tokens: Tokens, progress_timeout: float) -> None:
        self.urls = urls
        self._progress_timeout = progress_timeout
        self._standings = [Standing(url) for url in urls]
        # No kept connections: one that the transcriber closed meanwhile would look like a stream that broke off.
        self._http = httpx.AsyncClient(
            headers=tokens.headers(),
            timeout=httpx.Timeout(progress_timeout, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def __aenter__(self) -> "Transcribers":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def health(self, url: str) -> dict[str, object]:
        """What the transcriber at ``url`` says of itself.

        Raises:
            ServiceError: it does not answer, or not as healthy.
        """
        with as_service_errors(_name(url)):
            response = await self._http.get(f"{url}/healthz", timeout=HEALTH_SECONDS)
        if response.status_code != 200:
            raise refusal(_name(url), response)
        try:
            health: dict[str, object] = response.json()
        except ValueError:
            raise unexpected(_name(url), response.status_code) from None
        return health

    @asynccontextmanager
    async def transcribe(self, request: TranscribeRequest) -> AsyncIterator[Stream]:
        """Have the least loaded transcriber transcribe. Leaving the block closes the connection, which ends its work.

        Raises:
            NoTranscriber: none takes the job now.
            ServiceError: the one that was asked refused the job.
        """
        candidates, obstacles = await self._by_load()
        for b in candidates:
            b.running += 1
            try:
                response = await self._ask(b.url, request)
                try:
                    yield Stream(b, response, self._progress_timeout)
                    return
                finally:
                    await response.aclose()
            except _Away as away:
                obstacles.append(away.reason)
                if away.reason.code != "busy":
                    b.failed(away.reason)
            except StreamCut as cut:
                b.failed(cut)
                raise
            finally:
                b.running -= 1
        raise NoTranscriber(
            "; ".join(obstacle.message for obstacle in obstacles), max(RETRY_SECONDS, min(map(_retry_after, obstacles)))
        )

    async def _by_load(self) -> tuple[list[Standing], list[ServiceError]]:
        """Those that answer, the least loaded first, and what is wrong with the others."""
        asked = [b for b in self._standings if not b.obstacle]
        obstacles = [b.obstacle for b in self._standings if b.obstacle]
        load: dict[str, tuple[bool, float]] = {}
        answers = await asyncio.gather(*(self.health(b.url) for b in asked), return_exceptions=True)
        for b, answer in zip(asked, answers, strict=True):
            if isinstance(answer, ServiceError):
                b.failed(answer)
                obstacles.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                load[b.url] = _load(answer, b.running)
        return sorted((b for b in asked if b.url in load), key=lambda b: load[b.url]), obstacles

    async def _ask(self, url: str, request: TranscribeRequest) -> httpx.Response:
        body = request.model_dump(mode="json", exclude_defaults=True)
        try:
            with _patience(url, self._progress_timeout):
                http_request = self._http.build_request(
                    "POST", f"{url}/transcribe", json=body, headers={"Accept": NDJSON}
                )
                response = await self._http.send(http_request, stream=True)
                if response.status_code == 200:
                    return response
                try:
                    await response.aread()
                finally:
                    await response.aclose()
        except PeerUnreachable as unreachable:
            raise _Away(unreachable) from unreachable
        refused = refusal(_name(url), response)
        if refused.code in NOT_THE_JOBS_FAULT:
            raise _Away(refused)
        raise refused


class _Away(Exception):
    """This transcriber cannot take the job; another one may."""

    def __init__(self, reason: ServiceError) -> None:
        super().__init__(reason.message)
        self.reason = reason


@contextmanager
def _patience(url: str, seconds: float) -> Iterator[None]:
    with as_service_errors(_name(url)):
        try:
            yield
        except httpx.ReadTimeout as silent:
            raise StreamCut(f"{_name(url)} was silent for {seconds:g} s") from silent


def _name(url: str) -> str:
    return f"the transcriber at {url}"


def _load(health: dict[str, object], running: int) -> tuple[bool, float]:
    """Whether all places are taken, and how much of them; what we have just sent may not show there yet."""
    capacity, free = health.get("capacity"), health.get("free")
    if not (isinstance(capacity, int) and isinstance(free, int) and capacity > 0):
        return False, float(running)
    taken = max(running, capacity - free)
    return taken >= capacity, taken / capacity


def _retry_after(obstacle: ServiceError) -> float:
    seconds = obstacle.details.get("retry_after")
    return min(float(seconds), LONGEST_RETRY_SECONDS) if isinstance(seconds, (int, float)) else RETRY_SECONDS
