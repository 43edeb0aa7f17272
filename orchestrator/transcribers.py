"""The Machine Bs: which one to ask, and its events as they arrive."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType

import httpx

from machine.auth import Tokens
from machine.errors import MachineError, PeerUnreachable, StreamCut
from machine.peer import as_machine_errors, refusal, unexpected
from machine.wire import NDJSON, Event, TranscribeRequest, events
from orchestrator.errors import NoTranscriber

CONNECT_SECONDS = 3.0
HEALTH_SECONDS = 3.0
RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0

NOT_THE_JOBS_FAULT = {"busy", "stopping", "peer_unreachable", "unauthorized", "route_not_found", "model_loading"}
"""Codes that say that a machine cannot work now, or is set up wrongly: the job waits and uses up no attempt."""


class Stream:
    """One recording being transcribed by the Machine B at ``url``."""

    def __init__(self, url: str, response: httpx.Response, progress_timeout: float) -> None:
        self.url = url
        self._response = response
        self._progress_timeout = progress_timeout

    async def events(self) -> AsyncGenerator[Event, None]:
        """Its events as they arrive.

        Raises:
            StreamCut: the stream broke off, or was silent for too long.
        """
        with _patience(self.url, self._progress_timeout):
            async for event in events(self._response.aiter_lines()):
                yield event


class Transcribers:
    """All Machine Bs of this Machine A; use it as ``async with``.

    Args:
        urls: base URLs.
        progress_timeout: silence in seconds after which a Machine B is taken for dead.
    """

    def __init__(self, urls: tuple[str, ...], tokens: Tokens, progress_timeout: float) -> None:
        self.urls = urls
        self._progress_timeout = progress_timeout
        self._running: Counter[str] = Counter()
        # No kept connections: one that Machine B closed meanwhile would look like a stream that broke off.
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
        """What the Machine B at ``url`` says of itself.

        Raises:
            MachineError: it does not answer, or not as healthy.
        """
        with as_machine_errors(_name(url)):
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
        """Have the least loaded Machine B transcribe. Leaving the block closes the connection, which ends its work.

        Raises:
            NoTranscriber: none takes the job now.
            MachineError: the one that was asked refused the job.
        """
        candidates, obstacles = await self._by_load()
        for url in candidates:
            self._running[url] += 1
            try:
                response = await self._ask(url, request)
                try:
                    yield Stream(url, response, self._progress_timeout)
                    return
                finally:
                    await response.aclose()
            except _Away as away:
                obstacles.append(away.reason)
            finally:
                self._running[url] -= 1
        raise NoTranscriber(
            "; ".join(obstacle.message for obstacle in obstacles),
            max(RETRY_SECONDS, min(_retry_after(obstacle) for obstacle in obstacles)),
        )

    async def _by_load(self) -> tuple[list[str], list[MachineError]]:
        """Those that answer, the best one first, and what is wrong with the others."""
        answers = await asyncio.gather(*map(self.health, self.urls), return_exceptions=True)
        free: dict[str, int] = {}
        obstacles: list[MachineError] = []
        for url, answer in zip(self.urls, answers, strict=True):
            if isinstance(answer, MachineError):
                obstacles.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                slots = answer.get("free")
                free[url] = slots if isinstance(slots, int) else 1
        return sorted(free, key=lambda url: (free[url] <= 0, self._running[url], -free[url])), obstacles

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
    """This Machine B cannot take the job; another one may."""

    def __init__(self, reason: MachineError) -> None:
        super().__init__(reason.message)
        self.reason = reason


@contextmanager
def _patience(url: str, seconds: float) -> Iterator[None]:
    with as_machine_errors(_name(url)):
        try:
            yield
        except httpx.ReadTimeout as silent:
            raise StreamCut(f"{_name(url)} was silent for {seconds:g} s") from silent


def _name(url: str) -> str:
    return f"Machine B at {url}"


def _retry_after(obstacle: MachineError) -> float:
    seconds = obstacle.details.get("retry_after")
    return min(float(seconds), LONGEST_RETRY_SECONDS) if isinstance(seconds, (int, float)) else RETRY_SECONDS
