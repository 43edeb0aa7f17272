"""An open recording, as an input for ffmpeg and for ourselves."""

import asyncio
import os
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate

from reelscribe.errors import NotReadable, ServiceError, StreamCut

PIECE_BYTES = 1 << 18
"""Of one read, of what is sent as it is stored."""

Read = Callable[[int, int], bytes]
Fetch = Callable[[int, int], AsyncGenerator[bytes, None]]


def _no_failure() -> None:
    return None


def _never() -> bool:
    return False


@dataclass(frozen=True)
class StoredObject:
    """An open object; what happens to its path later does not matter.

    Attributes:
        bucket_name: empty for a file that was uploaded.
        savepath: its path in the bucket, or the name of the uploaded file.
        origin: where it is stored; for the log only.
        size: bytes of content.
        etag: changes when the content does.
        url: of ffmpeg's ``-i``.
        protocols: that ffmpeg needs for ``url``, as in ``-protocol_whitelist``.
        descriptors: that ffmpeg must inherit.
        read: content from an offset on, at most so many bytes; fewer only at its end.
        adts_at: where ADTS frames begin behind bytes of something else, which confuse ffmpeg; else None.
        decoder: ffmpeg's for its sound, if it has to be named; see
            :class:`reelscribe.media.structure.facts.AudioTrack`.
        read_failure: why ffmpeg could not read all of it, if so; its output is then of no use.
        fetch: content from an offset up to another, while it arrives; None if it comes from a drive of this host.
        written_over: whether the content was changed in place since it was opened.
    """

    bucket_name: str
    savepath: str
    origin: str
    size: int
    last_modified: datetime
    etag: str
    url: str
    protocols: str
    descriptors: tuple[int, ...]
    read: Read
    adts_at: int | None = None
    decoder: str | None = None
    read_failure: Callable[[], ServiceError | None] = _no_failure
    fetch: Fetch | None = None
    written_over: Callable[[], bool] = _never

    @property
    def needs_network(self) -> bool:
        """Whether ffmpeg reads it from an address (127.0.0.1)."""
        return "tcp" in self.protocols.split(",")

    async def content(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The content from ``start`` up to ``end``, a piece at a time: all of it, or an error.

        Raises:
            StreamCut: the object was changed meanwhile.
            NotReadable, PeerUnreachable: its storage failed.
        """
        if self.fetch:
            async with aclosing(self.fetch(start, end)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        while start < end:
            piece = await asyncio.to_thread(self._piece, start, min(PIECE_BYTES, end - start))
            start += len(piece)
            yield piece

    def _piece(self, start: int, length: int) -> bytes:
        try:
            piece = self.read(start, length)
        except OSError as failure:
            raise NotReadable(f"{self.savepath} cannot be read: {failure.strerror}") from failure
        if len(piece) < length or self.written_over():
            raise StreamCut(f"{self.savepath} was changed while it was read; try again")
        return piece


def open_file(
    descriptor: int, savepath: str, *, bucket_name: str = "", origin: str = "", etag: str | None = None
) -> StoredObject:
    """A file that is open for reading. If no ``etag`` is given, it gets one that changes with the file."""
    status = os.fstat(descriptor)
    return StoredObject(
        bucket_name=bucket_name,
        savepath=savepath,
        origin=origin,
        size=status.st_size,
        last_modified=datetime.fromtimestamp(status.st_mtime, UTC),
        etag=etag or f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}",
        url=f"file:/proc/self/fd/{descriptor}",
        protocols="file",
        descriptors=(descriptor,),
        read=reader([(descriptor, 0, status.st_size)]),
        written_over=lambda: _version(os.fstat(descriptor)) != _version(status),
    )


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def reader(ranges: Sequence[tuple[int, int, int]]) -> Read:
    """Reads parts of open files as one content; ``ranges`` are descriptor, offset and length of each, in order."""

    positions = list(accumulate((available for _, _, available in ranges), initial=0))

    def read(offset: int, length: int) -> bytes:
        end, content = offset + length, bytearray()
        for number in range(max(0, bisect_right(positions, offset) - 1), len(ranges)):
            position, (descriptor, start, available) = positions[number], ranges[number]
            if position >= end:
                break
            first, last = max(offset, position), min(end, position + available)
            content += os.pread(descriptor, last - first, start + first - position)
        return bytes(content)

    return read
