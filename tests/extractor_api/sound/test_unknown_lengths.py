"""Copies of tracks whose packets have no stored length, because their sound begins behind what ffmpeg looks at."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.conftest import runs
from tests.extractor_api.conftest import Serve
from tests.extractor_api.sound.test_channels import extract

LATE_SECONDS, SECONDS = 6.0, 4.0
PICTURE = ("-f", "lavfi", "-i", f"testsrc=s=64x48:r=25:d={LATE_SECONDS + SECONDS}")
TONE = ("-f", "lavfi", "-i", f"sine=d={SECONDS}:r=24000")


@pytest.fixture
async def extractor(
    serve: Serve, each_ffmpeg: FFmpeg, local_ffmpeg: FFmpeg, tmp_path: Path, run_ffmpeg: Callable[..., None]
) -> httpx.AsyncClient:
    folder = tmp_path / "videos"
    folder.mkdir()
    run_ffmpeg(*TONE, "-c:a", "aac", tmp_path / "a.mp4")
    inputs = (*PICTURE, "-itsoffset", str(LATE_SECONDS), "-i", tmp_path / "a.mp4", "-map", "0", "-map", "1")
    runs(local_ffmpeg)(*inputs, "-c:v", "mpeg4", "-c:a", "copy", folder / "late.mkv")  # 9 states how long packets are
    run_ffmpeg(*TONE, "-c:a", "flac", folder / "a.nut")
    return await serve(ffmpeg=each_ffmpeg, data_path=tmp_path)


async def receipt(extractor: httpx.AsyncClient, savepath: str, **fields: object) -> dict[str, object]:
    copy = await extract(extractor, savepath, audio_format="source", **fields)
    kept = dict((await extractor.get(f"/extractions/{copy.headers['X-Extraction-Id']}")).json())
    assert kept["state"] == "complete"
    return kept


@pytest.mark.parametrize(
    ("name", "begins", "part", "seconds"),
    [
        ("late.mkv", LATE_SECONDS, {}, SECONDS),
        ("late.mkv", 7.0, {"start": 7.0, "duration": 2.0}, 2.0),
        ("a.nut", 0.0, {}, SECONDS),
    ],
)
async def test_a_packet_lasts_until_the_next_one(
    extractor: httpx.AsyncClient, name: str, begins: float, part: dict[str, float], seconds: float
) -> None:
    kept = await receipt(extractor, name, **part)
    assert kept["begins"] == pytest.approx(begins, abs=0.05)
    assert kept["delivered_seconds"] == pytest.approx(seconds, abs=0.1)
