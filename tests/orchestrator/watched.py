"""A bucket of plain files with a real extractor in front, for what brings up objects by itself."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tornado.testing import bind_unused_port

from extractor_api.routes import make_app
from extractor_api.service import ExtractorService
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.server.connections import ServiceServer
from reelscribe.media import ffmpeg
from reelscribe.settings.extractor import PathsSection
from reelscribe.settings.loading import Settings


class Bucket:
    """The folder of bucket ``videos``, and the URL of the extractor that serves it."""

    def __init__(self, data_path: Path, url: str) -> None:
        self.data_path = data_path
        self.url = url

    def put(self, savepath: str, content: str = "once", age: float = 3600) -> Path:
        """Write an object, last modified ``age`` seconds ago."""
        path = self.data_path / "videos" / savepath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (time.time() - age, time.time() - age))
        return path


@asynccontextmanager
async def watched_bucket(data_path: Path) -> AsyncIterator[Bucket]:
    """A bucket that is empty at first."""
    (data_path / "videos").mkdir(parents=True)
    settings = Settings(paths=PathsSection(minio_data_path=data_path))
    socket, port = bind_unused_port()
    server = ServiceServer(make_app(ExtractorService(settings, ffmpeg.locate(None), Tokens())))
    server.add_socket(socket)
    try:
        yield Bucket(data_path, f"http://127.0.0.1:{port}")
    finally:
        server.stop()
        await server.close_all_connections()
