"""Channels that cancel each other in the mono mix: from the beginning, or later."""

import wave
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve
from tests.extractor_api.sound.test_channels import extract

RATE = 16_000
SECONDS = 80
TIMES = np.arange(SECONDS * RATE) / RATE
TONE = 0.4 * np.sin(2 * np.pi * 440 * TIMES)
SECOND_HALF_REVERSED = np.where(TIMES < 40, 1, -1) * TONE
LATER = "from 40 s on the channels cancel each other in the mix; ask for channel = 0"
IMMEDIATELY = "the channels cancel each other; the first one was taken instead of their mix"


@pytest.fixture
async def extractor(serve: Serve, each_ffmpeg: FFmpeg, tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "videos").mkdir()
    return await serve(ffmpeg=each_ffmpeg, data_path=tmp_path)


def stereo(path: Path, left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.stack((left, right), axis=1) * 32767).astype("<i2").tobytes())
    return path


async def remarks(client: httpx.AsyncClient, savepath: str, **fields: object) -> list[str]:
    answer = await extract(client, savepath, channels=1, sample_rate=16000, **fields)
    receipt = (await client.get(f"/extractions/{answer.headers['X-Extraction-Id']}")).json()
    assert receipt["state"] == "complete"
    said: list[str] = receipt["remarks"]
    return [line.replace("from 41 s", "from 40 s") for line in said]  # it is found within a second


@pytest.mark.parametrize(
    ("name", "left", "right", "said"),
    [
        *((name, TONE, SECOND_HALF_REVERSED, [LATER]) for name in ("a.wav", "a.m4a", "a.ts")),
        ("a.m4a", TONE, np.where((TIMES >= 40) & (TIMES < 55), -1, 1) * TONE, []),
        ("a.wav", (TIMES < 40) * TONE, (TIMES < 40) * TONE, []),
        ("a.ts", TONE, -TONE, [IMMEDIATELY]),
    ],
    ids=[*(f"after 40 s, {name}" for name in ("wav", "m4a", "ts")), "for 15 s", "silence after 40 s", "from the start"],
)
async def test_it_is_remarked_where_channels_cancel_each_other(
    extractor: httpx.AsyncClient,
    tmp_path: Path,
    run_ffmpeg: Callable[..., None],
    name: str,
    left: npt.NDArray[np.float64],
    right: npt.NDArray[np.float64],
    said: list[str],
) -> None:
    quickly = ("-aac_coder", "fast") if name.endswith("m4a") else ()
    run_ffmpeg("-i", stereo(tmp_path / "stereo.wav", left, right), *quickly, tmp_path / "videos" / name)
    assert await remarks(extractor, name) == said


async def test_the_place_counts_from_the_beginning_of_the_recording(
    extractor: httpx.AsyncClient, tmp_path: Path
) -> None:
    stereo(tmp_path / "videos" / "a.wav", TONE, SECOND_HALF_REVERSED)
    assert await remarks(extractor, "a.wav", start=20, duration=55) == [LATER]
    assert await remarks(extractor, "a.wav", start=20, duration=40) == []
    assert await remarks(extractor, "a.wav", channel=0) == []
