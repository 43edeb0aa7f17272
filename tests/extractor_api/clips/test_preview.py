"""POST /extract-preview: the right moments in the right colours, and never larger than asked for."""

import subprocess
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from reelscribe.contracts.clips import PeaksRequest, PreviewRequest
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.clips import clock

Pictures = npt.NDArray[np.uint8]


async def preview(client: httpx.AsyncClient, savepath: str = "clock.mp4", **fields: object) -> httpx.Response:
    return await client.post("/extract-preview", json={"savepath": savepath, **fields})


async def receipt(client: httpx.AsyncClient, response: httpx.Response) -> dict[str, object]:
    return dict((await client.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json())


def pictures_of(content: bytes, ffmpeg: FFmpeg, width: int = clock.WIDTH, height: int = clock.HEIGHT) -> Pictures:
    """All pictures as red, green and blue, as players show them."""
    data = still(content) if content[8:12] == b"WEBP" else content
    command = [str(ffmpeg.path), "-loglevel", "error", "-i", "pipe:0", "-fps_mode", "passthrough"]
    command += ["-vf", "scale=flags=accurate_rnd", "-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"]
    raw = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def still(webp: bytes) -> bytes:
    """The first picture of an animated WebP as a WebP of its own: ffmpeg 5.1 reads no other."""
    at = webp.index(b"ANMF")
    size = int.from_bytes(webp[at + 4 : at + 8], "little")
    picture = webp[at + 8 + 16 : at + 8 + size]
    return b"RIFF" + (len(picture) + 4).to_bytes(4, "little") + b"WEBP" + picture


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
async def test_it_shows_each_moment_in_its_colours(kind: str, clips: httpx.AsyncClient, local_ffmpeg: FFmpeg) -> None:
    response = await preview(clips, format=kind, moments=[7.0, 0.5], seconds=1.0, fps=2)
    assert response.status_code == 200, response.text
    shown = pictures_of(response.content, local_ffmpeg)
    numbers = [clock.number_of(picture[..., 1]) for picture in shown]
    assert numbers == [175, 187, 12, 25][: len(numbers)] and len(numbers) == (1 if kind == "webp" else 4)
    lower = shown[:, clock.HEIGHT * 3 // 4, clock.WIDTH // 2].astype(int)
    assert np.abs(lower - clock.GREEN).max() <= 6, lower
    kept = await receipt(clips, response)
    assert (kept["kind"], kept["state"], kept["frames"], kept["fps"]) == ("preview", "complete", 4, 2.0)
    assert kept["moments"] == [{"start": 7.0, "seconds": 1.0, "frames": 2}, {"start": 0.5, "seconds": 1.0, "frames": 2}]


@pytest.mark.parametrize("kind", ["gif", "webp"])
async def test_it_is_made_smaller_until_it_fits(kind: str, clips: httpx.AsyncClient) -> None:
    asked: dict[str, Any] = {"format": kind, "count": 3, "seconds": 1.0, "fps": 8}
    free = await preview(clips, **asked)
    most = len(free.content) * 2 // 3
    response = await preview(clips, **asked, max_bytes=most)
    assert response.status_code == 200, response.text
    assert len(response.content) <= most
    kept = await receipt(clips, response)
    assert kept["width"] < clock.WIDTH or kept["fps"] < 8  # type: ignore[operator]
    assert kept["remarks"] == [f"made smaller to fit into {most} bytes"]


async def test_what_cannot_be_so_small_is_refused_with_numbers(clips: httpx.AsyncClient) -> None:
    error = (await preview(clips, count=16, seconds=0.5, max_bytes=1000)).json()["error"]
    assert error["code"] == "too_large" and error["max_bytes"] == 1000 < error["smallest"]


async def test_a_moment_past_the_end_is_refused_and_a_short_one_is_named(clips: httpx.AsyncClient) -> None:
    assert (await preview(clips, moments=[9.0])).json()["error"]["code"] == "past_the_end"
    assert (await preview(clips, moments=[1.0, 9.0], seconds=0.5)).json()["error"]["code"] == "past_the_end"
    response = await preview(clips, moments=[7.0], seconds=3.0)
    kept = await receipt(clips, response)
    assert kept["seconds"] == 1.0 and kept["remarks"] == ["the recording ends 1.000 s after the moment at 7 s"]


async def test_the_client_reads_previews_and_waveforms(clips: httpx.AsyncClient) -> None:
    async with ExtractorClient(str(clips.base_url)) as client:
        async with client.preview(PreviewRequest(savepath="clock.mp4", format="webp", moments=[1.5])) as arriving:
            content = b"".join([chunk async for chunk in arriving.chunks()])
        waveform = await client.peaks(PeaksRequest(savepath="clock.mp4", points=20))
    assert arriving.receipt and arriving.receipt.bytes == len(content) and arriving.begins == 1.5
    assert arriving.content_type == "image/webp" and content[8:12] == b"WEBP"
    assert len(waveform.max) == 20 and waveform.seconds == pytest.approx(8.0, abs=0.03)


async def test_more_than_a_preview_is_refused_before_anything_is_encoded(clips: httpx.AsyncClient) -> None:
    error = (await preview(clips, count=16, seconds=30, fps=30)).json()["error"]
    assert error["code"] == "bad_request" and error["fields"] == ["size", "seconds", "fps"]
