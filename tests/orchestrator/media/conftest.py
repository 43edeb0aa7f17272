"""An orchestrator and a real extractor that it plays recordings from."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from tornado.testing import bind_unused_port

from extractor_api.routes import make_app as extractor_app
from extractor_api.service import ExtractorService
from orchestrator.api.handlers import OrchestratorService
from orchestrator.media.media import Media
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.server.connections import ServiceServer
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.extractor import ExtractionSection, PathsSection
from reelscribe.settings.loading import Settings
from tests.conftest import SPEECH
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.contract import CONTRACT

HUGE_BYTES = 64 << 20
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x36:rate=5:duration=7.5", "-i", SPEECH / "short.flac")


@pytest.fixture(scope="session")
def media_bucket(tmp_path_factory: pytest.TempPathFactory, run_ffmpeg: Callable[..., None]) -> Path:
    """The folder of a bucket with recordings that browsers play as stored, and others."""
    folder = tmp_path_factory.mktemp("media") / BUCKET
    (folder / "talks").mkdir(parents=True)
    h264 = (*PICTURE, "-c:v", "libx264", "-preset", "ultrafast", "-g", "5", "-pix_fmt", "yuv420p")
    run_ffmpeg(*h264, "-c:a", "aac", folder / "talks/seen.mp4")
    run_ffmpeg(*h264, "-c:a", "ac3", folder / "talks/sound.mkv")
    run_ffmpeg(*h264, "-an", folder / "talks/mute.mp4")
    run_ffmpeg(*PICTURE, "-c:v", "mpeg4", "-c:a", "libmp3lame", folder / "talks/old.avi")
    run_ffmpeg("-i", SPEECH / "short.flac", "-c:a", "libmp3lame", "-q:a", "5", "-write_xing", "0", folder / "bare.mp3")
    run_ffmpeg("-i", SPEECH / "ten_minutes.ogg", "-c:a", "copy", "-f", "matroska", folder / "long.mka")
    (folder / "page.mp4").write_text("<!doctype html><script>alert(1)</script>")
    with (folder / "huge.bin").open("wb") as file:
        file.truncate(HUGE_BYTES)
    return folder


class Playing(NamedTuple):
    """An orchestrator's client, and the two services."""

    client: httpx.AsyncClient
    orchestrator: OrchestratorService
    extractor: ExtractorService


@pytest.fixture
async def playing(
    media_bucket: Path,
    serving: Callable[[Tokens], str],
    orchestrator_service: OrchestratorService,
    local_ffmpeg: FFmpeg,
) -> AsyncIterator[Playing]:
    paths = PathsSection(minio_data_path=media_bucket.parent)
    extractor = ExtractorService(Settings(paths=paths, extraction=ExtractionSection()), local_ffmpeg, Tokens())
    server = ServiceServer(extractor_app(extractor))
    socket, port = bind_unused_port()
    server.add_socket(socket)
    orchestrator_service.media = Media(orchestrator_service.pool, f"http://127.0.0.1:{port}", Tokens(), BUCKET)
    hooks = {"response": [CONTRACT.check]}
    async with httpx.AsyncClient(base_url=serving(Tokens()), timeout=30, event_hooks=hooks) as client:
        yield Playing(client, orchestrator_service, extractor)
    await orchestrator_service.media.close()
    server.stop()
    await server.close_all_connections()
    extractor.results.close()
