"""The transcribers: which one gets a job, and its events as they arrive."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType

import httpx

from orchestrator.errors import NoTranscriber
from orchestrator.worker.retry import exponential
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

probe_seconds = exponential(first=1, longest=30)
"""How long a transcriber that failed so many times in a row gets no job before it is asked again."""

UNAVAILABLE_CODES = {"busy", "stopping", "peer_unreachable", "unauthorized", "route_not_found", "model_not_loaded"}
"""Error codes of a service that cannot work now, or is configured wrongly: the job waits and uses up no attempt."""


@dataclass
class _Transcriber:
    """What this process knows of one transcriber.

    Attributes:
        running: our jobs there.
        failures: in a row.
        back_at: monotonic second before which it is not asked, because of ``last_failure``.
    """

    url: str
    running: int = 0
    failures: int = 0
    back_at: float = 0.0
    last_failure: ServiceError | None = None

    @property
    def unavailable_reason(self) -> ServiceError | None:
        """Why it is not asked now; None if it is."""
        return self.last_failure if time.monotonic() < self.back_at else None

    def note_failure(self, failure: ServiceError) -> None:
        """Give it no job for longer than the last time. Concurrent failures count once."""
        if self.unavailable_reason:
            return
        self.failures += 1
        pause = probe_seconds(self.failures)
        self.last_failure, self.back_at = failure, time.monotonic() + pause
        log.warning("%s; it gets no job for %.0f s", failure.message, pause)

    def note_success(self) -> None:
        """It works."""
        if self.failures:
            log.info("%s is back", _name(self.url))
        self.failures, self.back_at, self.last_failure = 0, 0.0, None


class Stream:
    """One recording being transcribed by the transcriber at ``url``."""

    def __init__(self, transcriber: _Transcriber, response: httpx.Response, progress_timeout: float) -> None:
        self.url = transcriber.url
        self._transcriber = transcriber
        self._response = response
        self._progress_timeout = progress_timeout

    async def events(self) -> AsyncGenerator[Event, None]:
        """Its events as they arrive.

        Raises:
            StreamCut: the stream broke off, or was silent for too long.
        """
        with _reading(self.url, self._progress_timeout):
            async for event in events(self._response.aiter_lines()):
                if isinstance(event, Progress):
                    self._transcriber.note_success()
                yield event


class Transcribers:
    """All transcribers of this orchestrator; use it as ``async with``.

    Args:
        urls: base URLs.
        progress_timeout: silence in seconds after which a transcriber is considered stalled.
    """

    def __init__(self, urls: tuple[str, ...], tokens: Tokens, progress_timeout: float) -> None:
        self.urls = urls
        self._progress_timeout = progress_timeout
        self._transcribers = [_Transcriber(url) for url in urls]
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
        candidates, reasons = await self._by_load()
        for transcriber in candidates:
            transcriber.running += 1
            try:
                response = await self._ask(transcriber.url, request)
                try:
                    yield Stream(transcriber, response, self._progress_timeout)
                    return
                finally:
                    await response.aclose()
            except _CannotTakeJob as refused:
                reasons.append(refused.reason)
                if refused.reason.code != "busy":
                    transcriber.note_failure(refused.reason)
            except StreamCut as cut:
                transcriber.note_failure(cut)
                raise
            finally:
                transcriber.running -= 1
        raise NoTranscriber(
            "; ".join(reason.message for reason in reasons), max(RETRY_SECONDS, min(map(_retry_after, reasons)))
        )

    async def _by_load(self) -> tuple[list[_Transcriber], list[ServiceError]]:
        """Those that answer, the least loaded first, and why the others are unavailable."""
        asked = [one for one in self._transcribers if not one.unavailable_reason]
        reasons = [one.unavailable_reason for one in self._transcribers if one.unavailable_reason]
        load: dict[str, tuple[bool, float]] = {}
        answers = await asyncio.gather(*(self.health(one.url) for one in asked), return_exceptions=True)
        for one, answer in zip(asked, answers, strict=True):
            if isinstance(answer, ServiceError):
                one.note_failure(answer)
                reasons.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                load[one.url] = _load(answer, one.running)
        return sorted((one for one in asked if one.url in load), key=lambda one: load[one.url]), reasons

    async def _ask(self, url: str, request: TranscribeRequest) -> httpx.Response:
        body = request.model_dump(mode="json", exclude_defaults=True)
        try:
            with _reading(url, self._progress_timeout):
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
            raise _CannotTakeJob(unreachable) from unreachable
        refused = refusal(_name(url), response)
        if refused.code in UNAVAILABLE_CODES:
            raise _CannotTakeJob(refused)
        raise refused


class _CannotTakeJob(Exception):
    """This transcriber cannot take the job now; another one may."""

    def __init__(self, reason: ServiceError) -> None:
        super().__init__(reason.message)
        self.reason = reason


@contextmanager
def _reading(url: str, seconds: float) -> Iterator[None]:
    with as_service_errors(_name(url)):
        try:
            yield
        except httpx.ReadTimeout as silent:
            raise StreamCut(f"{_name(url)} was silent for {seconds:g} s") from silent


def _name(url: str) -> str:
    return f"the transcriber at {url}"


def _load(health: dict[str, object], running: int) -> tuple[bool, float]:
    """Whether all its slots are taken, and the share that is; what was just sent there may not show yet."""
    capacity, free = health.get("capacity"), health.get("free")
    if not (isinstance(capacity, int) and isinstance(free, int) and capacity > 0):
        return False, float(running)
    taken = max(running, capacity - free)
    return taken >= capacity, taken / capacity


def _retry_after(reason: ServiceError) -> float:
    seconds = reason.details.get("retry_after")
    return min(float(seconds), LONGEST_RETRY_SECONDS) if isinstance(seconds, (int, float)) else RETRY_SECONDS
