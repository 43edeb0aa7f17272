"""A process that decodes pictures waits ready for the next request."""

import asyncio

import psutil
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pictures import ready
from tests.extractor_api.conftest import Serve
from tests.extractor_api.pictures.clock import Studio
from tests.extractor_api.pictures.conftest import ask
from tests.extractor_api.pictures.test_clock import H264


def waiting() -> set[int]:
    """The interpreters that decode pictures, or wait for that, of this test run."""
    return {process.pid for process in psutil.Process().children(recursive=True) if _waits(process)}


def _waits(process: psutil.Process) -> bool:
    try:
        ended = process.status() == psutil.STATUS_ZOMBIE
        return not ended and "python" in process.name() and str(ready.CHILD) in process.cmdline()
    except psutil.NoSuchProcess:
        return False


async def until_waiting(besides: set[int]) -> set[int]:
    async with asyncio.timeout(60):
        while not (found := waiting() - besides):
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize("killed", [False, True])
async def test_it_takes_one_request_and_is_replaced(
    serve: Serve, studio: Studio, local_ffmpeg: FFmpeg, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "REST_SECONDS", 0.1)
    studio.make("ready.mp4", *H264, "-an", "-t", "1")
    client = await serve(data_path=studio.folder.parent)
    of_other_services = waiting()
    async with ready.keep_ready(local_ffmpeg.sandbox, 60):
        first = await until_waiting(of_other_services)
        if killed:
            for pid in first:
                psutil.Process(pid).kill()
            while waiting() & first:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
        samples, _ = await ask(client, "ready.mp4", "/extract-frames", timestamps=[0.5])
        assert len(samples) == 1
        assert await until_waiting(of_other_services | first)
    assert waiting() <= of_other_services
