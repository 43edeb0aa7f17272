"""A client of the transcriber, as the benches need it: when each event came, and what its metrics say."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from reelscribe.contracts.events import Event, Failed, Finished, Segment, events


@dataclass
class Heard:
    """One transcription.

    Attributes:
        first_s: seconds from the request to the first segment; to the end where there is none.
        total_s: seconds from the request to the last event.
        work: of the machine's stages, between the first segment and the end.
    """

    first_s: float = 0.0
    total_s: float = 0.0
    told: list[Event] = field(default_factory=list)
    work: "Work | None" = None

    @property
    def segments(self) -> list[Segment]:
        return [event for event in self.told if isinstance(event, Segment)]

    @property
    def tokens(self) -> int:
        return sum(len(segment.tokens) for segment in self.segments)


@dataclass(frozen=True)
class Work:
    """What the transcriber's stages did in ``seconds``: the share of the time that each was at work.

    The model's share is that of all its threads; another stage's adds them up, and may be more than 1.
    """

    seconds: float
    stages: Mapping[str, float]


class Client:
    """Asks one transcriber."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=None, limits=httpx.Limits(max_connections=None))

    async def __aenter__(self) -> "Client":
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def transcribe(self, savepath: str, **options: object) -> Heard:
        """Ask for a recording and listen to the end.

        Raises:
            SystemExit: the transcriber refuses or fails.
        """
        heard, started = Heard(), time.perf_counter()
        counting: asyncio.Task[_Counters] | None = None
        async with self._http.stream("POST", "/transcribe", json={"savepath": savepath, **options}) as response:
            if response.status_code != 200:
                raise SystemExit(f"the transcriber refuses {savepath}: {(await response.aread()).decode()}")
            async for event in events(response.aiter_lines()):
                heard.total_s = time.perf_counter() - started
                heard.told.append(event)
                if isinstance(event, Segment) and counting is None:
                    heard.first_s = heard.total_s
                    counting = asyncio.create_task(self._counters())
        if not isinstance(heard.told[-1], Finished):
            last = heard.told[-1]
            raise SystemExit(f"{savepath}: {last.message if isinstance(last, Failed) else 'the answer was cut'}")
        if counting:
            before = await counting
            heard.work = (await self._counters()).since(before)
        heard.first_s = heard.first_s or heard.total_s
        return heard

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
