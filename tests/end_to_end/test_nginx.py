"""Services behind nginx, below a path."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.installation import Reelscribe
from tests.nginx import NGINX, nginx

pytestmark = pytest.mark.skipif(not NGINX.exists(), reason="nginx is not installed")


@pytest.fixture(params=["1.0", "1.1"])
def proxy(reelscribe: Reelscribe, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with nginx(tmp_path, request.param, b=reelscribe.transcriber_url, c=reelscribe.extractor_url) as url:
        yield url


def test_audio_is_passed_on_byte_for_byte(reelscribe: Reelscribe, proxy: str) -> None:
    request = {"savepath": "talks/minute.mkv", "audio_format": "wav"}
    proxied, direct = (
        httpx.post(f"{url}/extract-audio", json=request, timeout=60).raise_for_status().content
        for url in (f"{proxy}/c", reelscribe.extractor_url)
    )
    assert hashlib.sha256(proxied).digest() == hashlib.sha256(direct).digest()


def test_the_urls_of_services_may_have_a_path(
    reelscribe: Reelscribe, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REELSCRIBE_ORCHESTRATOR__EXTRACTOR_URL", f"{proxy}/c/")
    monkeypatch.setenv("REELSCRIBE_ORCHESTRATOR__TRANSCRIBER_URLS", f"{proxy}/b")
    printed = " ".join(reelscribe.run("check").split())
    assert f"extractor-api at {proxy}/c" in printed
    assert f"{proxy}/b model mini" in printed or f"{proxy}/b: model mini" in printed
