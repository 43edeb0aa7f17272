"""Which transcriber gets a job: the least loaded one that answers; one that failed gets none for a while."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from orchestrator.errors import NoTranscriber
from orchestrator.worker.outages import Outage
from orchestrator.worker.transcriber_client import (
    READING_CODES,
    CannotTakeJob,
    EventStream,
    TranscriberClient,
    name_of,
)
from reelscribe.contracts.events import Event, Failed, Progress, Started
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.errors import RemoteError, ServiceError, StreamCut
from reelscribe.http.access.tokens import Tokens
from reelscribe.text.urls import without_password

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 60.0
WATCH_SECONDS = 5.0
"""How often each transcriber is asked for its health, whether there are jobs or not."""

FRESH_SECONDS = 0.5
"""How long an answer is good for: many short jobs need not ask for each."""

UNKNOWN_CAPACITY = 4
"""Slots that transcribers are taken to have together until one of them has said how many it has."""
AHEAD = 1
"""Jobs for each transcriber in addition to its slots: one waits there already when a slot becomes free."""


class TranscriberState(NamedTuple):
    """What this process knows of one transcriber.

    Attributes:
        up: it answered last time, and as healthy; None if it has not been asked yet.
        problems: what it lacks, in its own words, or why it does not answer.
        slots, free: its slots for batch requests, as it said last; None if it never did.
        running: jobs of this process there.
    """

    url: str
    up: bool | None
    problems: tuple[str, ...]
    slots: int | None
    free: int | None
    running: int


def transcriber_problems(states: Sequence[TranscriberState]) -> list[str]:
    """Why fewer jobs can be done now than with all transcribers, or none at all. Without URLs: anyone may read it."""
    silent = [state for state in states if state.up is False]
    lacking = [state for state in states if state.up and state.problems]
    lacks = [problem for state in lacking for problem in state.problems]
    if len(silent) + len(lacking) < len(states):  # the others can work
        found = [f"{_of(len(silent), len(states))} not answer"] if silent else []
        return found + [f"a transcriber cannot work: {problem}" for problem in dict.fromkeys(lacks)]
    if states and not lacking:
        return ["no transcriber answers"]
    return [f"no transcriber can work: {problem}" for problem in dict.fromkeys(lacks)]


def _of(some: int, all: int) -> str:
    return f"{some} of {all} transcribers {'does' if some == 1 else 'do'}"


@dataclass(eq=False)
class _Transcriber:
    """One transcriber.

    Attributes:
        running: our jobs there.
        outage: of itself.
        buckets: outages of reading the recordings of a bucket through it.
        silent: its last failure was that it did not answer as healthy.
        health: its last answer, and ``healthy_at`` the monotonic second of it, unless a job has failed there since.
    """

    url: str
    outage: Outage
    running: int = 0
    buckets: dict[str | None, Outage] = field(default_factory=dict)
    silent: bool = False
    health: dict[str, Any] = field(default_factory=dict)
    healthy_at: float = float("-inf")

    def note_health(self, health: dict[str, Any]) -> None:
        """It has answered."""
        self.health = health
        self.healthy_at = time.monotonic()
        if self.silent:
            self.silent = False
            self.outage.note_success()

    def note_silence(self, failure: ServiceError) -> None:
        """It has not answered, or not as healthy. One that never did may still start: the log has it for the first job
        that asks for it.
        """
        self.silent = True
        self.healthy_at = float("-inf")
        self.outage.note_failure(failure, quietly=not self.health)

    def reading(self, bucket: str | None) -> Outage:
        """Of this bucket's recordings through this transcriber."""
        if bucket not in self.buckets:
            subject = f"bucket {bucket}" if bucket else "the bucket"
            self.buckets[bucket] = Outage(f"{subject} through {name_of(self.url)}")
        return self.buckets[bucket]

    def note_still_lacking(self, reading: Outage) -> ServiceError | None:
        """The reason of an outage that its health still names: then no job need try; None if it does not."""
        reason = reading.reason
        if reason and any(reason.message in said or f"({reason.code})" in said for said in self.state.problems):
            reading.note_failure(reason)
            return reason
        return None

    def number(self, name: str) -> int | None:
        """A number of its last answer."""
        value = self.health.get(name)
        return value if isinstance(value, int) else None

    @property
    def state(self) -> TranscriberState:
        reason = self.outage.reason
        problems = [reason.message] if reason else self.health.get("problems", [])
        up = not self.outage.failures if self.health or self.outage.failures else None
        return TranscriberState(
            without_password(self.url), up, tuple(problems), self.number("capacity"), self.number("free"), self.running
        )


class JobStream:
    """One recording being transcribed by the transcriber at ``url``."""

    def __init__(self, transcriber: _Transcriber, stream: EventStream, reading: Outage) -> None:
        self.url = without_password(transcriber.url)
        self._transcriber = transcriber
        self._stream = stream
        self._reading = reading

    async def events(self) -> AsyncGenerator[list[Event], None]:
        """Its events as they arrive; see :meth:`orchestrator.worker.transcriber_client.EventStream.events`."""
        async with aclosing(self._stream.events()) as events:
            async for arrived in events:
                for event in arrived:
                    self._note(event)
                yield arrived

    def _note(self, event: Event) -> None:
        match event:
            case Progress():
                self._transcriber.outage.note_success()
            case Failed(code=code) if code in READING_CODES:
                self._reading.note_failure(RemoteError(502, code, event.message, True))
            case Started() | Failed():
                self._reading.note_success()


class Transcribers:
    """All transcribers of this orchestrator; use it as ``async with``.

    Args:
        urls: base URLs.
        progress_timeout: silence in seconds after which a transcriber is considered stalled.
    """

    def __init__(self, urls: tuple[str, ...], tokens: Tokens, progress_timeout: float) -> None:
        self._client = TranscriberClient(tokens, progress_timeout)
        self._transcribers = [_Transcriber(url, Outage(name_of(url))) for url in urls]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.__aexit__(*error)

    @property
    def states(self) -> list[TranscriberState]:
        """What is known of each."""
        return [one.state for one in self._transcribers]

    def away(self, bucket: str | None) -> ServiceError | None:
        """Why none that answers can read this bucket, as jobs have found last; None if one can, or none answers."""
        answering = [one for one in self._transcribers if not one.outage.failures]
        reasons = [reason for one in answering if (reason := one.reading(bucket).reason)]
        return reasons[0] if reasons and len(reasons) == len(answering) else None

    def most_jobs(self) -> int:
        """How many jobs they can be given together, so that no slot is left free. Of one that is away, as many as when
        it answered last: its jobs wait.
        """
        known = [slots for one in self._transcribers if (slots := one.number("capacity")) is not None]
        return sum(known) + AHEAD * len(known) if known else UNKNOWN_CAPACITY

    async def watch(self) -> None:
        """Ask each for its health again and again, until cancelled."""
        while True:
            try:
                await self._ask_all()
            except Exception:  # jobs ask again themselves
                log.exception("transcribers")
            await asyncio.sleep(WATCH_SECONDS)

    @asynccontextmanager
    async def transcribe(self, request: TranscribeRequest) -> AsyncIterator[JobStream]:
        """Have the least loaded transcriber transcribe. Leaving the block closes the connection, which ends its work.

        Raises:
            NoTranscriber: none takes the job now.
            ServiceError: the one that was asked refused the job.
        """
        candidates, reasons = await self._by_load()
        for transcriber in candidates:
            reading = transcriber.reading(request.bucket_name)
            if reason := reading.unavailable_reason or transcriber.note_still_lacking(reading):
                reasons.append(reason)
                continue
            transcriber.running += 1
            try:
                with reading.probing():
                    stream = await self._client.transcribe(transcriber.url, request)
                    try:
                        yield JobStream(transcriber, stream, reading)
                        return
                    finally:
                        await stream.close()
            except CannotTakeJob as refused:
                transcriber.healthy_at = float("-inf")
                reasons.append(refused.reason)
                if refused.reason.code != "busy":
                    transcriber.outage.note_failure(refused.reason)
            except StreamCut as cut:
                transcriber.healthy_at = float("-inf")
                transcriber.outage.note_failure(cut)
                raise
            finally:
                transcriber.running -= 1
        raise NoTranscriber(
            "; ".join(reason.message for reason in reasons), max(RETRY_SECONDS, min(map(_retry_after, reasons)))
        )

    async def _by_load(self) -> tuple[list[_Transcriber], list[ServiceError]]:
        """Those that answer, the least loaded first, and why the others are unavailable."""
        answered = await self._ask_all(FRESH_SECONDS)
        reasons = []
        for one in self._transcribers:
            if one not in answered and one.outage.reason:
                one.outage.log()
                reasons.append(one.outage.reason)
        return sorted(answered, key=_load), reasons

    async def _ask_all(self, fresh_seconds: float = 0) -> list[_Transcriber]:
        """Those that answer, of those that are not left alone now; those that have answered so recently are not asked
        again.
        """
        asked = [one for one in self._transcribers if not one.outage.unavailable_reason]
        stale = [one for one in asked if time.monotonic() >= one.healthy_at + fresh_seconds]
        answers = await asyncio.gather(*(self._client.health(one.url) for one in stale), return_exceptions=True)
        for one, answer in zip(stale, answers, strict=True):
            if isinstance(answer, ServiceError):
                one.note_silence(answer)
                asked.remove(one)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                one.note_health(answer)
        return asked


def _load(one: _Transcriber) -> tuple[bool, float]:
    """Whether all its slots are taken, and the share that is; what was just sent there may not show yet."""
    capacity, free = one.number("capacity"), one.number("free")
    if capacity is None or free is None or capacity <= 0:
        return False, float(one.running)
    taken = max(one.running, capacity - free)
    return taken >= capacity, taken / capacity


def _retry_after(reason: ServiceError) -> float:
    seconds = reason.details.get("retry_after")
    return min(float(seconds), LONGEST_RETRY_SECONDS) if isinstance(seconds, (int, float)) else RETRY_SECONDS
