"""A client of the transcriber that measures: when each event arrived, and what the metrics say."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from reelscribe.contracts.events import Event, Failed, Finished, Segment, events


@dataclass
class Measured:
    """One transcription.

    Attributes:
        first_s: seconds from the request to the first segment, or to the end if there is no segment.
        total_s: seconds from the request to the last event.
        work: what the transcriber's stages did between the first segment and the end.
    """

    first_s: float = 0.0
    total_s: float = 0.0
    events: list[Event] = field(default_factory=list)
    work: "Work | None" = None

    @property
    def segments(self) -> list[Segment]:
        return [event for event in self.events if isinstance(event, Segment)]

    @property
    def tokens(self) -> int:
        return sum(len(segment.tokens) for segment in self.segments)


@dataclass(frozen=True)
class Work:
    """The share of ``seconds`` in which each stage of the transcriber was busy.

    The model's share is the mean over its threads; that of any other stage is their sum, and may exceed 1.
    """

    seconds: float
    stages: Mapping[str, float]


class Client:
    """Sends requests to one transcriber."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=None, limits=httpx.Limits(max_connections=None))

    async def __aenter__(self) -> "Client":
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def transcribe(self, savepath: str, **options: object) -> Measured:
        """Have a recording transcribed.

        Raises:
            SystemExit: the transcriber refused or failed.
        """
        measured, started = Measured(), time.perf_counter()
        counting: asyncio.Task[_Counters] | None = None
        async with self._http.stream("POST", "/transcribe", json={"savepath": savepath, **options}) as response:
            if response.status_code != 200:
                raise SystemExit(f"the transcriber refused {savepath}: {(await response.aread()).decode()}")
            async for arrived in events(response.aiter_bytes()):
                measured.total_s = time.perf_counter() - started
                measured.events += arrived
                if counting is None and any(isinstance(event, Segment) for event in arrived):
                    measured.first_s = measured.total_s
                    counting = asyncio.create_task(self._counters())
        if not isinstance(measured.events[-1], Finished):
            last = measured.events[-1]
            raise SystemExit(f"{savepath}: {last.message if isinstance(last, Failed) else 'the response ended early'}")
        if counting:
            before = await counting
            measured.work = (await self._counters()).since(before)
        measured.first_s = measured.first_s or measured.total_s
        return measured

    async def _counters(self) -> "_Counters":
        answer = await self._http.get("/metrics")
        stages = {stage: float(seconds) for stage, seconds in BUSY.findall(answer.text)}
        workers = WORKERS.search(answer.text)
        return _Counters(time.perf_counter(), stages, max(1.0, float(workers[1])) if workers else 1.0)


BUSY = re.compile(r'^reelscribe_stage_busy_seconds_total\{stage="([^"]+)"\} (\S+)$', re.MULTILINE)
WORKERS = re.compile(r"^reelscribe_model_workers (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class _Counters:
    at: float
    stages: Mapping[str, float]
    model_workers: float

    def since(self, before: "_Counters") -> Work:
        seconds = self.at - before.at
        shares = {stage: (busy - before.stages.get(stage, 0.0)) / seconds for stage, busy in self.stages.items()}
        if "model" in shares:
            shares["model"] /= self.model_workers
        return Work(seconds, shares)
