"""Why there is no audio to send, by the reason and not as damage."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.sound.wav import wav_header
from tests.conftest import runs
from tests.extractor_api.conftest import Serve
from tests.extractor_api.sound.test_channels import refusal

TONE = ("-f", "lavfi", "-i", "sine=d=10:r=48000")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    return tmp_path / "videos"


@pytest.fixture
async def extractor(serve: Serve, each_ffmpeg: FFmpeg, tmp_path: Path, videos: Path) -> httpx.AsyncClient:
    return await serve(ffmpeg=each_ffmpeg, data_path=tmp_path)


@pytest.mark.parametrize("audio_format", ["wav", "source"])
async def test_a_header_of_no_samples_holds_no_sound(
    extractor: httpx.AsyncClient, videos: Path, audio_format: str
) -> None:
    (videos / "a.wav").write_bytes(wav_header(16_000, 1, "mono", 0, room=False))
    status, code, message = await refusal(extractor, "a.wav", audio_format=audio_format)
    assert (status, code) == (422, "no_audio_track") and "holds no sound" in message


async def test_a_copy_after_the_last_packet_is_past_the_end(
    extractor: httpx.AsyncClient, videos: Path, run_ffmpeg: Callable[..., None]
) -> None:
    run_ffmpeg(*TONE, "-c:a", "aac", videos / "a.mp4")
    for part in ({}, {"duration": 5.0}):
        status, code, _ = await refusal(extractor, "a.mp4", audio_format="source", start=9.995, **part)
        assert (status, code) == (422, "past_the_end")


async def test_a_copy_between_two_packets_has_silence_in_other_formats(
    extractor: httpx.AsyncClient, videos: Path, run_ffmpeg: Callable[..., None]
) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=10")
    run_ffmpeg(*picture, "-itsoffset", "5", *TONE, "-t", "10", "-c:v", "mpeg4", "-c:a", "aac", videos / "a.mp4")
    status, code, message = await refusal(extractor, "a.mp4", audio_format="source", start=1.0, duration=2.0)
    assert (status, code) == (422, "not_decodable") and "no packet of its sound begins in this part" in message


async def test_a_codec_that_cannot_be_copied_is_named(
    extractor: httpx.AsyncClient, videos: Path, local_ffmpeg: FFmpeg
) -> None:
    runs(local_ffmpeg)(*TONE, "-c:a", "libgsm", "-ar", "8000", "-ac", "1", videos / "a.gsm")
    status, code, message = await refusal(extractor, "a.gsm", audio_format="source")
    assert (status, code) == (400, "unsupported_format") and "codec gsm" in message


@pytest.mark.parametrize(
    ("route", "fields"), [("/extract-audio", {}), ("/peaks", {}), ("/extract-clip", {"mode": "copy"})]
)
async def test_less_than_a_sample_is_asked_for_by_mistake(
    extractor: httpx.AsyncClient, route: str, fields: dict[str, str]
) -> None:
    response = await extractor.post(route, json={"savepath": "a.mp4", "duration": 1e-7, **fields})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_request")
    assert "duration" in response.json()["error"]["fields"]


async def test_a_file_that_grows_is_asked_for_again(
    extractor: httpx.AsyncClient, videos: Path, run_ffmpeg: Callable[..., None]
) -> None:
    run_ffmpeg(*TONE, "-c:a", "libopus", videos / "whole.ogg")
    content, growing = (videos / "whole.ogg").read_bytes(), videos / "a.ogg"
    half = len(content) // 2
    growing.write_bytes(content[:half])

    async def grow() -> None:
        with growing.open("ab") as file:
            for at in range(half, len(content)):
                file.write(content[at : at + 1])
                file.flush()
                await asyncio.sleep(0.001)

    writing = asyncio.create_task(grow())
    kept = await extractor.post("/extract-audio", json={"savepath": "a.ogg", "audio_format": "wav", "delivery": "kept"})
    writing.cancel()
    error = kept.json()["error"]
    assert (kept.status_code, error["code"], error["retryable"]) == (502, "stream_cut", True)
    assert "changed while it was read" in error["message"]
    allowed = {"savepath": "a.ogg", "audio_format": "wav", "delivery": "kept", "allow_incomplete": True}
    assert (await extractor.post("/extract-audio", json=allowed)).status_code == 200
