"""Bytes become samples, however they arrive."""

import struct
from collections.abc import AsyncIterator

import numpy as np
import pytest

from reelscribe.errors import PeerRefused, ServiceError, StreamCut
from tests.transcriber.peer import wav
from transcriber.audio.decoding import ChunkReader, WavSamples
from transcriber.audio.placed_sound import BLOCK_SAMPLES

PCM = np.arange(-20_000, 20_000, dtype="<i2")


class Body:
    """An extraction that arrives in pieces of ``size`` bytes."""

    def __init__(self, body: bytes, size: int) -> None:
        self.body, self.size = body, size

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), self.size):
            yield self.body[start : start + self.size]


async def blocks(body: bytes, size: int = 1000) -> list[np.ndarray]:
    return [block async for block in WavSamples(ChunkReader(Body(body, size))).blocks()]  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 7, 4095, 10**6])
async def test_wav_is_read_whatever_the_chunks_are(size: int) -> None:
    samples = np.concatenate(await blocks(wav(PCM.tobytes()), size))
    assert np.array_equal(samples, PCM / np.float32(32768))


async def test_small_chunks_are_joined() -> None:
    first, last = await blocks(wav(PCM.tobytes()), 10)
    assert len(first) >= BLOCK_SAMPLES and len(first) + len(last) == len(PCM)


async def test_bytes_after_the_samples_are_skipped() -> None:
    body = bytearray(wav(PCM.tobytes()))
    at = body.index(b"data") + 4
    body[at : at + 4] = struct.pack("<I", len(PCM) * 2)
    samples = np.concatenate(await blocks(bytes(body) + b"LIST\4\0\0\0abcd"))
    assert len(samples) == len(PCM)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", StreamCut),
        (wav(b"")[:20], StreamCut),
        (wav(b"abc"), StreamCut),
        (b"<html>not found</html>", PeerRefused),
        (wav(b"").replace(struct.pack("<I", 16_000), struct.pack("<I", 44_100)), PeerRefused),
    ],
    ids=["empty", "cut in the header", "half a sample", "no wav", "44.1 kHz"],
)
async def test_anything_but_the_requested_wav_is_refused(body: bytes, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        await blocks(body)
