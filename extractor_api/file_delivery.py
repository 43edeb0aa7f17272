"""Sends bytes that are there already, with their length, an ETag and ranges of them: of an object, or of a result."""

import asyncio
import os
import re
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from socket import IPPROTO_TCP, TCP_INFO

from aiofiles.threadpool import wrap

from extractor_api.results import Result
from extractor_api.service import ExtractorService
from reelscribe.errors import NoAudioInTime, RangeNotSatisfiable
from reelscribe.http.server.service import ServiceHandler
from reelscribe.media.commands import CONTENT_TYPES

CHUNK_BYTES = 1 << 18

_BYTES_ACKED, _BYTES_ACKED_AT = struct.Struct("=Q"), 120
"""``tcpi_bytes_acked`` in Linux's ``struct tcp_info``."""

_RANGE = re.compile(r"bytes=(\d{0,100})-(\d{0,100})$", re.ASCII)

Content = Callable[[int, int], AsyncGenerator[bytes, None]]
"""What is from an offset up to another."""


class RangeSender(ServiceHandler):
    """Sends a content of known length, or the requested range of it."""

    service: ExtractorService

    async def send_range(self, content: Content, size: int, etag: str) -> None:
        """Answer with a content whose ``Content-Type`` is set, as fast as the client reads.

        Raises:
            RangeNotSatisfiable: it has nothing of what was requested.
            NoAudioInTime: see :meth:`write_out`.
        """
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("ETag", etag)
        requested = self.request.headers.get("Range", "") if self.request.method != "POST" else ""
        if self.request.headers.get("If-Range", etag) != etag:
            requested = ""
        start, end = byte_range(requested, size)
        if (start, end) != (0, size):
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.set_header("Content-Length", str(end - start))
        if self.request.method != "HEAD":
            async with aclosing(content(start, end)) as pieces:
                async for piece in pieces:
                    await self.write_out(piece)
        await self.finish()

    def compute_etag(self) -> None:
        """Answers have the ETag that is set, and not one of their bytes."""

    async def write_out(self, chunk: bytes) -> None:
        """Send some of the body, as fast as the client reads.

        Raises:
            NoAudioInTime: it read nothing for ``stall_timeout``; that is checked once in this time.
        """
        stall_timeout = self.service.limits.stall_timeout
        self.write(chunk)
        flushed = self.flush()
        taken = -1 if flushed.done() else self._taken_bytes()
        while not (await asyncio.wait({flushed}, timeout=stall_timeout))[0]:
            before, taken = taken, self._taken_bytes()
            if taken == before:
                raise NoAudioInTime(f"the client read nothing for {stall_timeout:g} s")
        flushed.result()

    def _taken_bytes(self) -> int:
        """How much the client's host has acknowledged: a slow client takes long for one chunk."""
        socket = self.request.connection.stream.socket  # type: ignore[union-attr]
        return int(_BYTES_ACKED.unpack_from(socket.getsockopt(IPPROTO_TCP, TCP_INFO, 256), _BYTES_ACKED_AT)[0])


class ResultSender(RangeSender):
    """Sends a finished result, or the requested range of it."""

    async def send_result(self, result: Result) -> None:
        """Answer with a result."""
        self.set_header("Content-Type", CONTENT_TYPES[result.encoding])
        self.set_header("X-Extraction-Id", result.extraction_id)

        async def content(start: int, end: int) -> AsyncGenerator[bytes, None]:
            # Opened again, so that two readers of one result do not share a position; and not in a thread, so that a
            # client that leaves, which cancels us, leaves no file open.
            with os.fdopen(os.open(f"/proc/self/fd/{result.file.fileno()}", os.O_RDONLY), "rb") as opened:
                file = wrap(opened)
                await file.seek(start)
                while start < end:
                    chunk = await file.read(min(CHUNK_BYTES, end - start))
                    start += len(chunk)
                    yield chunk

        await self.send_range(content, result.size, f'"{result.sha256}"')


class ResultHandler(ResultSender):
    """``GET /extractions/{id}/audio``: a finished result, complete or in part; HEAD for its length."""

    async def get(self, extraction_id: str) -> None:
        await self.send_result(self.service.results.get(extraction_id))


def byte_range(requested: str, size: int) -> tuple[int, int]:
    """First byte and the one after the last of a ``Range`` header; all of them if we serve no such range.

    RFC 9110, section 14.2: a range that is not understood is ignored, and so may be several of them.

    Raises:
        RangeNotSatisfiable: it begins after the end.
    """
    match = _RANGE.match(requested)
    if not match or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return 0, size
    start, end = (int(first), min(size, int(last) + 1) if last else size) if first else (max(0, size - int(last)), size)
    if start >= end:
        raise RangeNotSatisfiable(f"there are {size} bytes, and none of them is in this range", size=size)
    return start, end
