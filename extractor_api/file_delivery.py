"""Routes of ``delivery = file``: a finished result with its length, an ETag and byte ranges."""

import asyncio
import re
import struct
from socket import IPPROTO_TCP, TCP_INFO

import aiofiles

from extractor_api.results import Result
from extractor_api.service import ExtractorService
from reelscribe.errors import NoAudioInTime, RangeNotSatisfiable
from reelscribe.http.server import ServiceHandler
from reelscribe.media.commands import CONTENT_TYPES

CHUNK_BYTES = 1 << 18

_BYTES_ACKED, _BYTES_ACKED_AT = struct.Struct("=Q"), 120
"""``tcpi_bytes_acked`` in Linux's ``struct tcp_info``."""

_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


class ResultSender(ServiceHandler):
    """Sends a finished result, or the requested range of it."""

    service: ExtractorService

    async def send_result(self, result: Result) -> None:
        """Answer with a result."""
        etag = f'"{result.sha256}"'
        self.set_header("Content-Type", CONTENT_TYPES[result.encoding])
        self.set_header("X-Extraction-Id", result.extraction_id)
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("ETag", etag)
        requested = self.request.headers.get("Range", "") if self.request.method != "POST" else ""
        if self.request.headers.get("If-Range", etag) != etag:
            requested = ""
        start, end = _range(requested, result.size)
        if (start, end) != (0, result.size):
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {start}-{end - 1}/{result.size}")
        self.set_header("Content-Length", str(end - start))
        if self.request.method == "HEAD":
            await self.finish()
            return
        await self._send(result, start, end)

    async def _send(self, result: Result, start: int, end: int) -> None:
        # Opened again, so that two readers of one result do not share a position.
        file = await aiofiles.open(f"/proc/self/fd/{result.file.fileno()}", "rb")
        try:
            await file.seek(start)
            while start < end:
                chunk = await file.read(min(CHUNK_BYTES, end - start))
                start += len(chunk)
                await self.write_out(chunk)
        finally:
            await asyncio.shield(file.close())  # also when the client leaves, which cancels us

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


class ResultHandler(ResultSender):
    """``GET /extractions/{id}/audio``: a finished result, complete or in part; HEAD for its length."""

    async def get(self, extraction_id: str) -> None:
        await self.send_result(self.service.results.get(extraction_id))


def _range(requested: str, size: int) -> tuple[int, int]:
    """First byte and the one after the last of a ``Range`` header; the entire result if we serve no such range."""
    match = _RANGE.match(requested)
    if not match or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    start, end = (int(first), min(size, int(last) + 1 if last else size)) if first else (max(0, size - int(last)), size)
    if start >= end:
        raise RangeNotSatisfiable(f"the result has {size} bytes", size=size)
    return start, end
