"""An extractor of our own in the test's event loop, with a bucket of real recordings."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import imageio_ffmpeg
import psutil
import pytest
from tornado.testing import bind_unused_port

from extractor_api.routes import make_app
from extractor_api.service import ExtractorService
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.server.connections import ServiceServer
from reelscribe.media import ffmpeg
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.extractor import ExtractionSection, PathsSection
from reelscribe.settings.loading import Settings
from reelscribe.settings.shared import MinioSection
from tests.extractor_api.contract import assert_as_documented
from tests.s3_server import s3_server


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """``videos/``: recordings of every kind that the tests name."""
    folder = tmp_path_factory.mktemp("minio") / "videos"
    make_video(folder / "short.mp4")
    make_video(folder / "short.mkv")
    make_video(folder / "minute.mp4", "minute.flac")
    make_video(folder / "long.mp4", "ten_minutes.ogg")
    make_video(folder / "talk/audio_shorter.mp4", seconds=20)
    make_video(folder / "mute.mp4", "short.flac", "-an")
    make_video(folder / "late.mp4", "short.flac", "-bsf:a", "setts=pts=PTS+2.5/TB:dts=DTS+2.5/TB")
    make_video(folder / "two_tracks.mkv", "short.flac", "-map", "0:v", "-map", "1:a", "-map", "1:a")
    minute = (folder / "minute.mp4").read_bytes()
    (folder / "half.mp4").write_bytes(minute[: len(minute) // 2])
    (folder / "stump.mp4").write_bytes(minute[: minute.index(b"mdat") + 3_000])
    middle = len(minute) // 2
    (folder / "damaged.mp4").write_bytes(minute[:middle] + bytes(60_000) + minute[middle + 60_000 :])
    (folder / "text.mp4").write_text("not a video\n" * 1000)
    (folder / "empty.mp4").write_bytes(b"")
    return folder


Serve = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def serve(bucket: Path, local_ffmpeg: FFmpeg) -> AsyncIterator[Serve]:
    """Start an extractor with changed limits; returns a client of it, with the service as ``client.service``."""
    async with AsyncExitStack() as stack:

        async def start(
            ffmpeg: FFmpeg = local_ffmpeg,
            tokens: Tokens | None = None,
            data_path: Path | None = None,
            temp_dir: Path | None = None,
            minio: MinioSection | None = None,
            **limits: object,
        ) -> httpx.AsyncClient:
            for folder in filter(Path.is_dir, [data_path or bucket.parent]):
                (folder / "other-bucket").mkdir(exist_ok=True)
            settings = Settings(
                paths=PathsSection(
                    minio_data_path=data_path or bucket.parent,
                    buckets=("other-bucket",),
                    temp_dir=temp_dir or Path("/tmp"),
                ),
                extraction=ExtractionSection().model_copy(update=limits),  # shorter waits than are allowed
                minio=minio or MinioSection(),
            )
            service = ExtractorService(settings, ffmpeg, tokens or Tokens())
            client = await stack.enter_async_context(_running(service))
            client.service = service  # type: ignore[attr-defined]
            return client

        yield start


@asynccontextmanager
async def _running(service: ExtractorService) -> AsyncIterator[httpx.AsyncClient]:
    before = asyncio.all_tasks()
    socket, port = bind_unused_port()
    server = ServiceServer(make_app(service))
    server.add_socket(socket)
    try:
        hooks = {"response": [assert_as_documented]}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, event_hooks=hooks) as client:
            yield client
    finally:
        server.stop()
        await server.close_all_connections()
        if remaining := asyncio.all_tasks() - before - {asyncio.current_task()}:
            await asyncio.wait(remaining, timeout=10)
        service.results.close()


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with s3_server(tmp_path_factory.mktemp("moto") / "console") as port:
        yield port


@pytest.fixture(params=["on PATH", "of the wheel"], scope="module")
def each_ffmpeg(request: pytest.FixtureRequest) -> FFmpeg:
    return ffmpeg.locate(None if request.param == "on PATH" else Path(imageio_ffmpeg.get_ffmpeg_exe()))


@pytest.fixture
async def extractor(serve: Serve) -> httpx.AsyncClient:
    return await serve()


def running_ffmpeg() -> list[psutil.Process]:
    """The ffmpeg processes of this test run that have not ended."""
    return [child for child in psutil.Process().children(recursive=True) if _runs_ffmpeg(child)]


def _runs_ffmpeg(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return "ffmpeg" in process.name() and process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture(scope="session")
def measure(making_ffmpeg: FFmpeg) -> Callable[[bytes], tuple[float, str]]:
    """Decode audio bytes with ffmpeg: seconds, and the input's description."""

    def decode(audio: bytes) -> tuple[float, str]:
        completed = subprocess.run(
            [making_ffmpeg.path, "-hide_banner", "-i", "pipe:0", "-ar", "16000", "-ac", "1", "-f", "s16le", "pipe:1"],
            input=audio,
            capture_output=True,
        )
        return len(completed.stdout) / 32000, completed.stderr.decode()

    return decode
