"""The samples of a WAV while it arrives, and parts of them by sample index: never more in memory than one part."""

import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from itertools import accumulate

from reelscribe.errors import PeerRefused, StreamCut

SAMPLE_BYTES = 2
UNKNOWN_SIZES = (0, 0xFFFFFFFF)
"""What ffmpeg writes into the header of a WAV that it cannot seek in."""

Span = tuple[int, int]
"""Indexes of a first sample, and of the one after the last."""


def span(start: float, end: float, sample_rate: int) -> Span:
    """The samples of these seconds: each end is the nearest sample to it, the later one of two."""
    first, after = (int(max(0.0, seconds) * sample_rate + 0.5) for seconds in (start, end))
    return first, max(first, after)


async def samples(chunks: AsyncIterator[bytes], sample_rate: int) -> AsyncGenerator[bytes, None]:
    """The 16-bit samples in these chunks of a WAV with one channel.

    Raises:
        PeerRefused: it is no such WAV.
        StreamCut: it ends in its header.
    """
    pending = bytearray()
    left: float | None = None
    async for chunk in chunks:
        if left is None:
            pending += chunk
            if (found := _header(bytes(pending), sample_rate)) is None:
                continue
            begins, left = found
            chunk = bytes(pending[begins:])
            pending.clear()
        taken = chunk if len(chunk) <= left else chunk[: int(left)]
        left -= len(taken)
        yield taken
    if left is None:
        raise StreamCut("the WAV from the extractor ends in its header; try again")


def _header(data: bytes, sample_rate: int) -> tuple[int, float] | None:
    """Where its samples begin and how many bytes they are; None if that is not in these first bytes."""
    if not (b"RIFF".startswith(data[:4]) and b"WAVE".startswith(data[8:12])):
        raise PeerRefused("the extractor sent something other than WAV; is [orchestrator] extractor_url right?")
    at = 12
    while len(data) >= at + 8:
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"data":
            return at + 8, float("inf") if size in UNKNOWN_SIZES else size
        if kind == b"fmt " and len(data) >= at + 24:
            _, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at + 8)
            if (channels, rate, bits) != (1, sample_rate, 8 * SAMPLE_BYTES):
                raise PeerRefused(f"the extractor sent WAV of {rate} Hz, {channels} channels, {bits} bits")
        at += 8 + size + size % 2
    return None


async def cut(sound: AsyncIterator[bytes], spans: Sequence[Span]) -> AsyncGenerator[bytes, None]:
    """The samples of each span, in the order of the spans; a span ends where the sound does.

    What no later span needs is forgotten. Spans that follow each other, as segments do, need the memory of one.
    """
    needed = list(accumulate(reversed([first for first, _ in spans]), min))[::-1]
    held, begins, done = bytearray(), 0, 0

    def part(of: Span) -> bytes:
        first, after = (max(0, SAMPLE_BYTES * (index - begins)) for index in of)
        return bytes(held[first:after])

    async for chunk in sound:
        held += chunk
        arrived = begins + len(held) // SAMPLE_BYTES
        while done < len(spans) and spans[done][1] <= arrived:
            yield part(spans[done])
            done += 1
        forgotten = min(arrived, needed[done]) - begins if done < len(spans) else arrived - begins
        if forgotten > 0:
            del held[: SAMPLE_BYTES * forgotten]
            begins += forgotten
    for rest in spans[done:]:
        yield part(rest)
