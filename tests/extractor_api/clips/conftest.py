"""A bucket of recordings with a clock."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.clips import clock
from tests.extractor_api.conftest import Serve


@pytest.fixture(scope="session")
def clock_bucket(tmp_path_factory: pytest.TempPathFactory, making_ffmpeg: FFmpeg) -> Path:
    folder = tmp_path_factory.mktemp("clips") / "videos"
    folder.mkdir()
    clock.make_all(folder, making_ffmpeg.path)
    return folder


@pytest.fixture
async def clips(serve: Serve, clock_bucket: Path) -> AsyncIterator[httpx.AsyncClient]:
    """An extractor of that bucket."""
    yield await serve(data_path=clock_bucket.parent)
