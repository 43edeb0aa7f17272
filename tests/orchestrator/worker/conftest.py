"""A real transcriber, for what a scripted one cannot show."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.loading import Settings
from reelscribe.settings.transcriber import TranscriberSection
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
