"""Which transcriber gets a job: the least loaded one that answers; one that failed gets none for a while."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Self

from orchestrator.errors import NoTranscriber
from orchestrator.worker.retry import exponential
from orchestrator.worker.transcriber_client import CannotTakeJob, EventStream, TranscriberClient, name_of
from reelscribe.contracts.events import Event, Progress
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.errors import ServiceError, StreamCut
from reelscribe.http.auth import Tokens

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0

probe_seconds = exponential(first=1, longest=30)
"""How long a transcriber that failed so many times in a row gets no job before it is asked again."""


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
            log.info("%s is back", name_of(self.url))
        self.failures, self.back_at, self.last_failure = 0, 0.0, None


class JobStream:
    """One recording being transcribed by the transcriber at ``url``."""

    def __init__(self, transcriber: _Transcriber, stream: EventStream) -> None:
        self.url = transcriber.url
        self._transcriber = transcriber
        self._stream = stream

    async def events(self) -> AsyncGenerator[Event, None]:
        """Its events as they arrive; see :meth:`orchestrator.worker.transcriber_client.EventStream.events`."""
        async with aclosing(self._stream.events()) as events:
            async for event in events:
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
        self._client = TranscriberClient(tokens, progress_timeout)
        self._transcribers = [_Transcriber(url) for url in urls]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.__aexit__(*error)

    @asynccontextmanager
    async def transcribe(self, request: TranscribeRequest) -> AsyncIterator[JobStream]:
        """Have the least loaded transcriber transcribe. Leaving the block closes the connection, which ends its work.

        Raises:
            NoTranscriber: none takes the job now.
            ServiceError: the one that was asked refused the job.
        """
        candidates, reasons = await self._by_load()
        for transcriber in candidates:
            transcriber.running += 1
            try:
                stream = await self._client.transcribe(transcriber.url, request)
                try:
                    yield JobStream(transcriber, stream)
                    return
                finally:
                    await stream.close()
            except CannotTakeJob as refused:
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
        answers = await asyncio.gather(*(self._client.health(one.url) for one in asked), return_exceptions=True)
        for one, answer in zip(asked, answers, strict=True):
            if isinstance(answer, ServiceError):
                one.note_failure(answer)
                reasons.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                load[one.url] = _load(answer, one.running)
        return sorted((one for one in asked if one.url in load), key=lambda one: load[one.url]), reasons


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
