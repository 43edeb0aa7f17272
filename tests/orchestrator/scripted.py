"""A transcriber that follows a script, over real HTTP: for what the real one cannot be made to do."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from reelscribe.contracts.events import NDJSON, Failed, Finished, Progress, Segment, Started, Word, event_line
from reelscribe.contracts.speech_without_words import SpeechWithoutWords, Stretch

WINDOW_SECONDS = 10.0
WINDOWS = 3
LONG = WINDOW_SECONDS * WINDOWS
LAST_MODIFIED = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)


class ScriptedTranscriber:
    """Answers the first request by the first script, and so on; the last script answers all others.

    Attributes:
        requests: the bodies that came.
        connections: the address of each one's client.
        left: set when a client leaves before the end.
        probes: how often it was asked for its health.
    """

    def __init__(self) -> None:
        self.scripts: list[Script] = [transcribes()]
        self.requests: list[dict[str, Any]] = []
        self.connections: list[object] = []
        self.tokens: list[str | None] = []
        self.left = asyncio.Event()
        self.capacity = 4
        self.free = 4
        self.probes = 0
        self.url = ""

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator["ScriptedTranscriber"]:
        server = HTTPServer(
            Application([("/transcribe", _Transcribe, {"b": self}), ("/healthz", _Health, {"b": self})])
        )
        if port:
            server.listen(port, "127.0.0.1")
        else:
            socket, port = bind_unused_port()
            server.add_socket(socket)
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            server.stop()
            await server.close_all_connections()


class _Transcribe(RequestHandler):
    def initialize(self, b: ScriptedTranscriber) -> None:
        self.b = b

    async def post(self) -> None:
        b = self.b
        b.tokens.append(self.request.headers.get("Authorization"))
        b.requests.append(json.loads(self.request.body))
        b.connections.append(self.request.connection.context.address)  # type: ignore[attr-defined]
        script = b.scripts[min(len(b.requests), len(b.scripts)) - 1]
        self.set_header("Content-Type", NDJSON)
        await script(self)

    def on_connection_close(self) -> None:
        self.b.left.set()

    @property
    def start(self) -> float:
        return float(self.b.requests[-1].get("start", 0.0))

    async def tell(self, *events: BaseModel) -> None:
        for event in events:
            self.write(event_line(event))
            await self.flush()


class _Health(RequestHandler):
    def initialize(self, b: ScriptedTranscriber) -> None:
        self.b = b

    def get(self) -> None:
        b = self.b
        b.probes += 1
        self.finish(
            {"machine": "transcriber", "status": "ok", "model": "scripted", "capacity": b.capacity, "free": b.free}
        )


Script = Callable[[_Transcribe], Awaitable[None]]


def transcribes(
    windows: int = WINDOWS,
    incomplete: str | None = None,
    words: bool = False,
    etag: str = "etag-1",
    vocabulary: int = 0,
) -> Script:
    """The windows from ``start`` on, then finished, as the real one does."""

    async def script(b: _Transcribe) -> None:
        first = int(b.start // WINDOW_SECONDS)
        begin = started(windows * WINDOW_SECONDS, etag)
        await b.tell(begin.model_copy(update={"vocabulary": vocabulary}))
        for number in range(first, windows):
            await b.tell(*window(number, words))
        end = finished(windows * WINDOW_SECONDS - b.start, incomplete, 2 * (windows - first))
        await b.tell(end.model_copy(update={"etag": etag}))

    return script


def breaks_off_after(windows: int, language: str = "en", probability: float = 0.9) -> Script:
    """Some windows and half a segment of the next, then the connection ends."""

    async def script(b: _Transcribe) -> None:
        detected = {"language": language, "language_probability": probability}
        await b.tell(started(LONG).model_copy(update=detected))
        for number in range(int(b.start // WINDOW_SECONDS), windows):
            await b.tell(*window(number))
        await b.tell(window(windows)[0])
        b.detach().close()

    return script


def leaves_out(*times: tuple[float, float], cut_after: int | None = None) -> Script:
    """As :func:`transcribes`, without words for these stretches; perhaps the connection ends after some windows."""

    async def script(b: _Transcribe) -> None:
        def so_far(seconds: float) -> SpeechWithoutWords:
            return without_words(*(one for one in times if b.start <= one[0] and one[1] <= seconds))

        await b.tell(started(LONG))
        for number in range(int(b.start // WINDOW_SECONDS), WINDOWS if cut_after is None else cut_after):
            *segments, progress = window(number)
            known = so_far(progress.seconds)
            await b.tell(*segments, progress.model_copy(update={"speech_without_words": known}))
        if cut_after is not None:
            b.detach().close()
        else:
            end = finished(LONG - b.start, None, 2 * (WINDOWS - int(b.start // WINDOW_SECONDS)))
            await b.tell(end.model_copy(update={"speech_without_words": so_far(LONG)}))

    return script


def without_words(*times: tuple[float, float]) -> SpeechWithoutWords:
    """What a transcriber reports of these stretches."""
    return SpeechWithoutWords(
        seconds=sum(end - start for start, end in times),
        count=len(times),
        stretches=[Stretch(start=start, end=end) for start, end in times],
    )


async def breaks_off_at_the_end(b: _Transcribe) -> None:
    """All windows, then the connection ends instead of finished."""
    await b.tell(started(LONG))
    for number in range(int(b.start // WINDOW_SECONDS), WINDOWS):
        await b.tell(*window(number))
    b.detach().close()


def ends_early(b: _Transcribe) -> Awaitable[None]:
    """A clean end of the body without finished or failed."""
    return b.tell(started(LONG), *window(0))


def falls_silent_after(windows: int) -> Script:
    """Some windows, then nothing until the client leaves."""

    async def script(b: _Transcribe) -> None:
        await b.tell(started(LONG))
        for number in range(windows):
            await b.tell(*window(number))
        await b.b.left.wait()

    return script


def fails(code: str, message: str, retryable: bool, **details: Any) -> Script:
    """A failed event in place of finished."""

    async def script(b: _Transcribe) -> None:
        await b.tell(started(LONG), Failed(code=code, message=message, retryable=retryable, details=details))

    return script


def refuses(status: int, code: str, message: str, retryable: bool, **details: Any) -> Script:
    """An error before any event."""

    async def script(b: _Transcribe) -> None:
        b.set_status(status)
        b.set_header("Content-Type", "application/json")
        await b.finish({"error": {"code": code, "message": message, "retryable": retryable, **details}})

    return script


def started(duration: float, etag: str = "etag-1") -> Started:
    return Started(model="scripted", language="en", language_probability=0.9, duration=duration, etag=etag)


def window(number: int, words: bool = False) -> tuple[Segment, Segment, Progress]:
    """Two segments and the progress that makes them final."""
    begin = number * WINDOW_SECONDS
    return (
        _segment(2 * number, begin + 1, begin + 4, words),
        _segment(2 * number + 1, begin + 5, begin + 9, words),
        Progress(seconds=begin + WINDOW_SECONDS),
    )


def _segment(index: int, start: float, end: float, words: bool) -> Segment:
    timed = [Word(start=start, end=end, word="sentence", probability=0.5)] if words else None
    plain = segment(start, end, f"sentence {index}", timed, index)
    return plain.model_copy(update={"language": "cy"}) if words else plain


def segment(start: float, end: float, text: str, words: list[Word] | None = None, index: int = 0) -> Segment:
    return Segment(
        index=index,
        start=start,
        end=end,
        text=text,
        tokens=[index, index + 1],
        words=words,
        avg_logprob=-0.25,
        no_speech_prob=0.01,
        compression_ratio=1.5,
    )


def finished(seconds: float, incomplete: str | None = None, segments: int = 0) -> Finished:
    return Finished(
        duration=LONG,
        segments=segments,
        declared_seconds=seconds,
        delivered_seconds=seconds,
        covered_seconds=seconds,
        samples=round(seconds * 16_000),
        sha256="5" * 64,
        etag="etag-1",
        last_modified=LAST_MODIFIED,
        size=1000,
        extraction_id="extraction-1",
        complete=incomplete is None,
        reason=incomplete,
        track=1,
        track_choice="the default track",
        remarks=["2.0 s of silence are in place of holes in the recording"],
    )
