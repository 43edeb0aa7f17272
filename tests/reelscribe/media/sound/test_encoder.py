"""Encoding with a second ffmpeg: all of it, into a pipe or a file, and ended with its source."""

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import psutil
import pytest

from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.media.commands import Encoding, encode_command
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.sound.encoder import Encoder
from reelscribe.media.sound.wav import wav_header

RATE = 16_000
SECONDS = 20
CPU_SECONDS = 60.0


def tone() -> bytes:
    times = np.arange(RATE * SECONDS) / RATE
    return (0.3 * 32_767 * np.sin(2 * np.pi * 440 * times)).astype(np.int16).tobytes()


async def wav(
    chunk: int = 50_000, fails: bool = False, stops: asyncio.Event | None = None
) -> AsyncGenerator[bytes, None]:
    yield wav_header(RATE, 1, "mono", None, room=False)
    samples = tone()
    for at in range(0, len(samples), chunk):
        if at > len(samples) // 2:
            if fails:
                raise ValueError("the source is broken")
            if stops:
                await stops.wait()
        yield samples[at : at + chunk]


def encoder(ffmpeg: FFmpeg, encoding: Encoding, output: int | None = None) -> Encoder:
    request = ExtractAudioRequest(savepath="a.mp4")
    url = "pipe:1" if output is None else f"file:/proc/self/fd/{output}"
    return Encoder(ffmpeg, encode_command(ffmpeg, encoding, request, 5, url), cpu_seconds=CPU_SECONDS, output=output)


def decode(ffmpeg: FFmpeg, audio: bytes) -> bytes:
    command: list[str | Path] = [ffmpeg.path, "-v", "error", "-i", "pipe:0", "-f", "s16le", "pipe:1"]
    return subprocess.run(command, input=audio, capture_output=True, check=True).stdout


@pytest.mark.parametrize("chunk", [1_001, 50_000, 1 << 20])
async def test_flac_holds_every_sample(local_ffmpeg: FFmpeg, chunk: int) -> None:
    encoding = encoder(local_ffmpeg, "flac")
    async with aclosing(encoding.encode(wav(chunk))) as encoded:
        body = b"".join([piece async for piece in encoded])
    assert encoding.exit_code == 0
    assert decode(local_ffmpeg, body) == tone()


async def test_mp3_has_the_length(local_ffmpeg: FFmpeg) -> None:
    async with aclosing(encoder(local_ffmpeg, "mp3").encode(wav())) as encoded:
        body = b"".join([piece async for piece in encoded])
    assert len(decode(local_ffmpeg, body)) / 2 / RATE == pytest.approx(SECONDS, abs=0.2)


async def test_a_file_is_written_by_ffmpeg_itself(local_ffmpeg: FFmpeg, tmp_path: Path) -> None:
    with (tmp_path / "a.flac").open("w+b") as file:
        async with aclosing(encoder(local_ffmpeg, "flac", file.fileno()).encode(wav())) as encoded:
            assert [piece async for piece in encoded] == []
    assert decode(local_ffmpeg, (tmp_path / "a.flac").read_bytes()) == tone()


async def test_what_breaks_the_source_is_raised_at_the_end(local_ffmpeg: FFmpeg) -> None:
    body = b""
    with pytest.raises(ValueError, match="broken"):
        async with aclosing(encoder(local_ffmpeg, "flac").encode(wav(fails=True))) as encoded:
            async for piece in encoded:
                body += piece
    assert body, "what came before it is delivered"


async def test_the_encoder_starts_before_its_source_has_ended(local_ffmpeg: FFmpeg) -> None:
    waits = asyncio.Event()
    async with aclosing(encoder(local_ffmpeg, "flac").encode(wav(stops=waits))) as encoded:
        first = await asyncio.wait_for(anext(encoded), 60)
        assert first.startswith(b"fLaC")
        waits.set()
        assert [piece async for piece in encoded]


async def test_closing_it_ends_ffmpeg_and_leaves_no_descriptor(local_ffmpeg: FFmpeg) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        encoded = encoder(local_ffmpeg, "flac").encode(wav(stops=asyncio.Event()))
        await anext(encoded)
        await encoded.aclose()
    alive = [child for child in psutil.Process().children(True) if child.status() != psutil.STATUS_ZOMBIE]
    assert [child.name() for child in alive if "ffmpeg" in child.name()] == []
    assert len(os.listdir("/proc/self/fd")) <= before + 1


async def test_an_encoder_that_gives_up_has_an_exit_code(local_ffmpeg: FFmpeg) -> None:
    async def text() -> AsyncGenerator[bytes, None]:
        for _ in range(100):
            yield b"not a wav\n" * 10_000

    encoding = encoder(local_ffmpeg, "flac")
    async with aclosing(encoding.encode(text())) as encoded:
        assert [piece async for piece in encoded] == []
    assert encoding.exit_code != 0
    assert encoding.messages
