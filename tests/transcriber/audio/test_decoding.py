"""Bytes become samples, however they arrive."""

import struct
from collections.abc import AsyncIterator

import numpy as np
import pytest

from reelscribe.errors import PeerRefused, ServiceError, StreamCut
from tests.transcriber.peer import wav
from transcriber.audio.decoding import BLOCK_SAMPLES, ChunkReader, WavSamples

PCM = np.arange(-20_000, 20_000, dtype="<i2")


class Body:
    """An extraction that arrives in pieces of ``size`` bytes."""

    def __init__(self, body: bytes, size: int) -> None:
        self.body, self.size = body, size

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), self.size):
            yield self.body[start : start + self.size]


async def heard(body: bytes, size: int = 1000) -> list[np.ndarray]:
    return [block async for block in WavSamples(ChunkReader(Body(body, size))).blocks()]  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 7, 4095, 10**6])
async def test_wav_is_read_whatever_the_chunks_are(size: int) -> None:
    samples = np.concatenate(await heard(wav(PCM.tobytes()), size))
    assert np.array_equal(samples, PCM / np.float32(32768))


async def test_small_chunks_are_put_together() -> None:
    blocks = await heard(wav(PCM.tobytes()), 10)
    assert len(blocks) == 2
    assert all(len(block) >= BLOCK_SAMPLES for block in blocks[:-1])


async def test_what_follows_the_samples_is_not_heard() -> None:
    body = bytearray(wav(PCM.tobytes()))
    at = body.index(b"data") + 4
    body[at : at + 4] = struct.pack("<I", len(PCM) * 2)
    samples = np.concatenate(await heard(bytes(body) + b"LIST\4\0\0\0abcd"))
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
async def test_what_is_not_the_wav_that_was_asked_for_is_refused(body: bytes, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        await heard(body)
