"""A transcriber with the bundled model in the test's event loop, and the scripted extractor that it gets audio from."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jiwer
import pytest
from tornado.testing import bind_unused_port

from reelscribe.contracts.events import Event, Segment, events
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.server.connections import ServiceServer
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.extractor import PathsSection
from reelscribe.settings.loading import Settings
from reelscribe.settings.transcriber import TranscriberSection
from tests.transcriber.contract import CONTRACT
from tests.transcriber.peer import SPEECH, Script, extractor
from transcriber.api.routes import make_app
from transcriber.audio.mel import MelWindow
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.segments import DecodedSegment
from transcriber.model.loading import LoadedModel, load_model
from transcriber.service import TranscriberService


@dataclass
class Transcriber:
    """A running transcriber, seen from outside; ``service`` is its inside."""

    http: httpx.AsyncClient
    service: TranscriberService

    async def stream(self, savepath: str, **options: Any) -> AsyncGenerator[Event, None]:
        """The events of ``POST /transcribe``."""
        body = TranscribeRequest(savepath=savepath, **options).model_dump(exclude_defaults=True)
        async with self.http.stream("POST", "/transcribe", json=body) as response:
            assert response.status_code == 200, await response.aread()
            async for arrived in events(response.aiter_bytes()):
                for event in arrived:
                    yield event

    async def events(self, savepath: str, **options: Any) -> list[Event]:
        return [event async for event in self.stream(savepath, **options)]

    async def metric(self, name: str) -> float:
        text = (await self.http.get("/metrics")).text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0


Serve = Callable[..., Awaitable[Transcriber]]


@pytest.fixture(scope="session")
def mini() -> LoadedModel:
    return load_model("mini", "cpu", "auto")


@pytest.fixture
async def script() -> Script:
    return Script()


@pytest.fixture
async def serve(mini: LoadedModel, local_ffmpeg: FFmpeg, script: Script, tmp_path: Path) -> AsyncIterator[Serve]:
    """Start a transcriber with the given settings; its extractor follows ``script`` unless a URL is given."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Transcriber:
            url = settings.pop("extractor_url", None) or await stack.enter_async_context(extractor(script))
            paths = PathsSection(temp_dir=settings.pop("temp_dir", tmp_path))
            tokens = Tokens(settings.pop("tokens", ()))
            model = settings.pop("loaded", mini)
            chosen = Settings(paths=paths, transcriber=TranscriberSection(extractor_url=url, **settings))
            model.whisper.model.load_model()  # another test may have unloaded it
            service = TranscriberService(chosen, local_ffmpeg, model, tokens)
            await stack.enter_async_context(service.open())
            socket, port = bind_unused_port()
            server = ServiceServer(make_app(service))
            server.add_socket(socket)
            stack.push_async_callback(server.close_all_connections)
            stack.callback(server.stop)
            hooks = {"response": [CONTRACT.check]}
            client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, event_hooks=hooks)
            return Transcriber(await stack.enter_async_context(client), service)

        yield start


@pytest.fixture
async def transcriber(serve: Serve) -> Transcriber:
    return await serve()


def decoded(
    recogniser: Recogniser, windows: Sequence[MelWindow], options: DecodingOptions
) -> list[list[DecodedSegment]]:
    """The segments of windows that share their calls of the model with no others."""
    passes = [recogniser.passes(window, options) for window in windows]
    while waiting := [(one, one.call) for one in passes if one.call]:
        key = recogniser.key(waiting[0][1])
        together = [(one, call) for one, call in waiting if recogniser.key(call) == key]
        for (one, _), outcome in zip(together, recogniser.decode([call for _, call in together]), strict=True):
            one.take(outcome)
    return [one.segments for one in passes]


def truth(name: str) -> dict[str, Any]:
    """Text and sentences of a speech fixture."""
    found: dict[str, Any] = json.loads((SPEECH / name).with_suffix(".json").read_text())
    return found


def segments(emitted: list[Event]) -> list[Segment]:
    return [event for event in emitted if isinstance(event, Segment)]


def text(emitted: list[Event]) -> str:
    return " ".join(segment.text for segment in segments(emitted))


def word_error_rate(name: str, transcribed: str) -> float:
    return words_wrong(truth(name)["text"], transcribed)


def words_wrong(said: str | list[str], transcribed: str | list[str]) -> float:
    """The word error rate, whatever the case and the punctuation."""
    plain = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.ReduceToListOfListOfWords()])
    return float(jiwer.wer(said, transcribed, reference_transform=plain, hypothesis_transform=plain))
