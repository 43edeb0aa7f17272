"""Faults of the extractor, through a real transcriber: each one counts, with its own reason."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from extractor_api.handlers import ExtractAudioHandler
from reelscribe.http.auth import Tokens
from reelscribe.media.audio import AudioExtraction
from reelscribe.settings.loading import Settings
from reelscribe.settings.transcriber import TranscriberSection
from tests.orchestrator.conftest import MAX_ATTEMPTS
from transcriber.api.routes import make_app
from transcriber.model.loading import load_model
from transcriber.service import TranscriberService


@pytest.fixture
async def real_transcriber(extractor, local_ffmpeg) -> AsyncIterator[str]:
    """The URL of a transcriber that gets its audio from the extractor."""
    async with AsyncExitStack() as stack:
        settings = Settings(transcriber=TranscriberSection(extractor_url=extractor))
        service = TranscriberService(settings, local_ffmpeg, load_model("mini", "cpu", "auto"), Tokens())
        await stack.enter_async_context(service.open())
        server = HTTPServer(make_app(service))
        socket, port = bind_unused_port()
        server.add_socket(socket)
        yield f"http://127.0.0.1:{port}"
        server.stop()
        await server.close_all_connections()


async def before_the_answer(*arguments):
    raise KeyError("a bug")


async def within_the_body(extraction):
    yield b""
    raise KeyError("a bug")


@pytest.fixture(params=["before the answer", "within the body"])
def broken_extractor(request, monkeypatch) -> None:
    if request.param == "before the answer":
        monkeypatch.setattr(ExtractAudioHandler, "_extract", before_the_answer)
    else:
        monkeypatch.setattr(AudioExtraction, "chunks", within_the_body)


async def test_an_unknown_fault_uses_up_the_attempts_and_is_the_reason(
    broken_extractor, real_transcriber, bucket, make_video: Callable, submit, working, job_in
):
    make_video(bucket / "talk.mp4")
    async with working(real_transcriber):
        job = await job_in((await submit()).id, "failed", seconds=60)
    assert job.attempt == MAX_ATTEMPTS
    assert job.error.code == "internal_error"
    assert job.error.message.startswith(f"gave up after {MAX_ATTEMPTS} attempts: extractor-api failed; its log")
