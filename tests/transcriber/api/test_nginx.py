"""Behind nginx with its default settings: events arrive while the recording is being transcribed."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from reelscribe.contracts.events import Finished, Started
from tests.nginx import NGINX, nginx
from tests.transcriber.conftest import Transcriber
from tests.transcriber.peer import Script

pytestmark = pytest.mark.skipif(not NGINX.exists(), reason="nginx is not installed")


@pytest.mark.parametrize("http_version", ["1.0", "1.1"])
async def test_events_arrive_while_more_audio_is_awaited(
    transcriber: Transcriber, script: Script, tmp_path: Path, http_version: str
) -> None:
    script.hold = asyncio.Event()
    with nginx(tmp_path, http_version, b=str(transcriber.http.base_url)) as url:
        async with httpx.AsyncClient(base_url=f"{url}/b", timeout=30) as http:
            proxied = Transcriber(http, transcriber.service)
            async with aclosing(proxied.stream("minute.flac")) as events, asyncio.timeout(60):
                async for event in events:
                    if isinstance(event, Started):
                        break
                script.hold.set()
                assert isinstance([event async for event in events][-1], Finished)
