"""Channels that cancel each other in the mono mix: from the beginning, or later."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve
from tests.extractor_api.sound.test_channels import extract

TONE = "0.4*sin(2*PI*440*t)"
LATER = "from 40 s on the channels cancel each other in the mix; ask for channel = 0"
IMMEDIATELY = "the channels cancel each other; the first one was taken instead of their mix"


@pytest.fixture
async def extractor(serve: Serve, each_ffmpeg: FFmpeg, tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "videos").mkdir()
    return await serve(ffmpeg=each_ffmpeg, data_path=tmp_path)


async def remarks(client: httpx.AsyncClient, savepath: str, **fields: object) -> list[str]:
    answer = await extract(client, savepath, channels=1, sample_rate=16000, **fields)
    receipt = (await client.get(f"/extractions/{answer.headers['X-Extraction-Id']}")).json()
    assert receipt["state"] == "complete"
    said: list[str] = receipt["remarks"]
    return [line.replace("from 41 s", "from 40 s") for line in said]  # it is found within a second


@pytest.mark.parametrize("name", ["a.wav", "a.m4a", "a.ts"])
@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        (TONE, f"if(lt(t,40),1,-1)*{TONE}", [LATER]),
        (TONE, f"if(between(t,40,55),-1,1)*{TONE}", []),
        (f"if(lt(t,40),1,0)*{TONE}", f"if(lt(t,40),1,0)*{TONE}", []),
        (TONE, f"-1*{TONE}", [IMMEDIATELY]),
    ],
    ids=["after 40 s", "for 15 s", "silence after 40 s", "from the beginning"],
)
async def test_it_is_remarked_where_channels_cancel_each_other(
    extractor: httpx.AsyncClient,
    tmp_path: Path,
    run_ffmpeg: Callable[..., None],
    name: str,
    left: str,
    right: str,
    said: list[str],
) -> None:
    source = "aevalsrc=" + f"{left}|{right}".replace(",", "\\,") + ":d=80:s=16000"
    run_ffmpeg("-f", "lavfi", "-i", source, tmp_path / "videos" / name)
    assert await remarks(extractor, name) == said


async def test_the_place_counts_from_the_beginning_of_the_recording(
    extractor: httpx.AsyncClient, tmp_path: Path, run_ffmpeg: Callable[..., None]
) -> None:
    source = f"aevalsrc={TONE}|if(lt(t\\,40)\\,1\\,-1)*{TONE}:d=80:s=16000"
    run_ffmpeg("-f", "lavfi", "-i", source, tmp_path / "videos" / "a.wav")
    assert await remarks(extractor, "a.wav", start=20, duration=55) == [LATER]
    assert await remarks(extractor, "a.wav", start=20, duration=40) == []
    assert await remarks(extractor, "a.wav", channel=0) == []
