"""The bytes of an extraction as 16 kHz mono samples, while they arrive."""

import asyncio
import concurrent.futures
import struct
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np

from reelscribe.contracts.extractor import ExtractionReceipt
from reelscribe.errors import NotDecodable, PeerRefused, StreamCut
from reelscribe.media.completeness import tolerated
from transcriber.audio.placed_sound import BLOCK_SAMPLES, PlacedSound, as_floats
from transcriber.audio.vad import SAMPLE_RATE, Samples

UNKNOWN_SIZES = (0, 0xFFFFFFFF)
"""What ffmpeg writes into the header of a WAV that it cannot seek in."""

StreamFormat = Literal["wav", "flac", "source"]


class AudioStream(Protocol):
    """Audio while it is extracted.

    Attributes:
        receipt: once :meth:`chunks` has ended.
    """

    receipt: ExtractionReceipt | None

    @property
    def etag(self) -> str:
        """Of what is extracted; it changes when that does."""

    @property
    def declared_seconds(self) -> float | None:
        """Length as the container declares it; None if it declares none."""

    @property
    def begins(self) -> float | None:
        """Time in the recording of the first sound in the body, in seconds; None if it is unknown."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive; they end without an error only if they are complete."""


class ChunkReader:
    """The chunks of a body, one at a time, with a way to read ahead."""

    def __init__(self, audio: AudioStream) -> None:
        self._chunks = audio.chunks()
        self._ahead: deque[bytes] = deque()

    async def read(self) -> bytes:
        """The next chunk; empty at the end.

        Raises:
            StreamCut: see :meth:`reelscribe.http.peers.extractor_client.ExtractedAudio.chunks`.
        """
        return self._ahead.popleft() if self._ahead else await anext(self._chunks, b"")

    async def read_ahead(self) -> None:
        """Keep one chunk for later."""
        self._ahead.append(await anext(self._chunks, b""))


class WavSamples:
    """16-bit mono WAV, parsed by hand: the sizes in the header of a stream are placeholders.

    Attributes:
        decoded: samples so far.
        damaged: always 0.
    """

    def __init__(self, chunks: ChunkReader) -> None:
        self.decoded = 0
        self.damaged = 0
        self._chunks = chunks
        self._rest = b""
        self._ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    async def blocks(self) -> AsyncIterator[Samples]:
        """
        Raises:
            PeerRefused: this is not the WAV that was requested.
            StreamCut: it ended in its header or in the middle of a sample.
        """
        left = await self._find_samples()
        while left:
            await self._fill(2 * BLOCK_SAMPLES)
            size = int(min(len(self._rest) // 2 * 2, left))
            if not size:
                break
            block, self._rest = self._rest[:size], self._rest[size:]
            left -= size
            self.decoded += size // 2
            yield as_floats(np.frombuffer(block, "<i2"))
        if self._rest and left:
            raise StreamCut("the WAV from the extractor ends in the middle of a sample; try again")
        while await self._chunks.read():
            pass  # the receipt comes after the last byte

    async def _find_samples(self) -> float:
        """Skip everything before the first sample; how many bytes of samples follow."""
        if await self._take(4) != b"RIFF" or (await self._take(8))[4:] != b"WAVE":
            raise PeerRefused("the extractor sent something other than WAV; is [transcriber] extractor_url right?")
        while True:
            kind, size = struct.unpack("<4sI", await self._take(8))
            if kind == b"data":
                return float("inf") if size in UNKNOWN_SIZES else size
            body = await self._take(size + size % 2)
            if kind == b"fmt ":
                _, channels, sample_rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
                if (channels, sample_rate, bits) != (1, SAMPLE_RATE, 16):
                    raise PeerRefused(f"the extractor sent WAV of {sample_rate} Hz, {channels} channels, {bits} bits")

    async def _take(self, size: int) -> bytes:
        await self._fill(size)
        if len(self._rest) < size:
            raise StreamCut("the WAV from the extractor ends in its header; try again")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    async def _fill(self, size: int) -> None:
        while len(self._rest) < size and not self._ended:
            chunk = await self._chunks.read()
            self._ended = not chunk
            self._rest += chunk


class DecodedSamples:
    """Any other format, decoded by PyAV in a thread of its own, so that other recordings do not wait for its audio.

    It decodes only while a block is awaited. Leaving the context ends the thread. The arguments are those of
    :class:`transcriber.audio.placed_sound.PlacedSound`.
    """

    def __init__(self, chunks: ChunkReader, begins: float | None = None, declared: float | None = None) -> None:
        self._chunks = chunks
        self._reading: concurrent.futures.Future[bytes] | None = None
        self._decoding: asyncio.Future[Samples | None] | None = None
        self._sound = PlacedSound(self._read, begins, declared)
        self._blocks = self._sound.blocks()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "decoding")
        self._left = False

    @property
    def decoded(self) -> int:
        """Samples that the decoder made so far, without silence in holes."""
        return self._sound.decoded

    @property
    def damaged(self) -> int:
        """Packets that could not be decoded so far."""
        return self._sound.damaged

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left = True
        if self._decoding and not self._decoding.done():
            if self._reading:
                self._reading.cancel()
            await asyncio.wait([self._decoding])
            self._decoding.exception()
        self._thread.shutdown(wait=False)
        self._blocks.close()

    async def blocks(self) -> AsyncIterator[Samples]:
        """
        Raises:
            NotDecodable: PyAV cannot make sense of it.
            StreamCut: see :meth:`reelscribe.http.peers.extractor_client.ExtractedAudio.chunks`.
        """
        while True:
            self._decoding = self._loop.run_in_executor(self._thread, next, self._blocks, None)
            block = await asyncio.shield(self._decoding)
            if block is None:
                break
            yield block
        while await self._chunks.read():
            pass  # a decoder may stop before the last byte; the receipt comes after that

    def _read(self) -> bytes:
        if self._left:
            return b""
        self._reading = asyncio.run_coroutine_threadsafe(self._chunks.read(), self._loop)
        try:
            return self._reading.result()
        except concurrent.futures.CancelledError:
            return b""


def check_length(receipt: ExtractionReceipt, audio_format: StreamFormat, decoded: int, damaged: int = 0) -> None:
    """Compare the samples that were decoded with what the extractor says it sent.

    Args:
        receipt: of the extraction.
        audio_format: of the stream.
        decoded: samples, without silence that was added here.
        damaged: packets that could not be decoded.

    Raises:
        StreamCut: they differ, or the extractor itself calls the extraction failed.
        NotDecodable: they differ because packets are damaged.
    """
    if receipt.state not in ("complete", "incomplete"):
        raise StreamCut(f"the extractor calls this extraction {receipt.state}: {receipt.reason}; try again")
    if audio_format == "source" or receipt.samples is None:
        same = abs(receipt.delivered_seconds - decoded / SAMPLE_RATE) <= tolerated(receipt.delivered_seconds)
    else:
        same = abs(receipt.samples - decoded) <= (2 if audio_format == "flac" else 0)
    if same:
        return
    if damaged:
        raise NotDecodable(
            f"{damaged} packets of {receipt.savepath} cannot be decoded: {decoded / SAMPLE_RATE:.2f} of "
            f"{receipt.delivered_seconds:.2f} s were"
        )
    raise StreamCut(
        f"received {decoded} samples ({decoded / SAMPLE_RATE:.2f} s) of {receipt.savepath}; the extractor sent "
        f"{receipt.samples} ({receipt.delivered_seconds:.2f} s); try again"
    )


def sample_stream(
    audio: AudioStream, audio_format: StreamFormat, start: float
) -> "tuple[ChunkReader, WavSamples | DecodedSamples]":
    """The samples of an audio stream from second ``start`` of its recording on, and the reader of its chunks."""
    chunks = ChunkReader(audio)
    if audio_format == "wav":
        return chunks, WavSamples(chunks)
    begins = None if audio.begins is None else audio.begins - start
    return chunks, DecodedSamples(chunks, begins, audio.declared_seconds)
