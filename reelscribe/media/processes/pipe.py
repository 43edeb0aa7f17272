"""A child's standard output, read in large pieces, and its standard input, written in such.

asyncio's own pipes wake up for each 64 KiB that a child writes, and copy it three times; when ffmpeg writes WAV, that
costs more than ffmpeg itself.
"""

import asyncio
import fcntl
import os
from contextlib import suppress

PIPE_BYTES = 1 << 20
SMALL_READ_BYTES = 1 << 17
LARGE_READ_BYTES = 1 << 19
SHORTEST_PAUSE_SECONDS = 0.001
LONGEST_PAUSE_SECONDS = 0.016
ROOM_PAUSE_SECONDS = 0.005
"""In that time a child makes room for much more than the page that ends the wait, and the pipe still holds enough."""


class Pipe:
    """A pipe: give ``writing`` to the child, close it here, and read.

    After a small read the next one waits a little longer, so that the child's writes gather in the pipe; after a large
    read it waits less. The first read never waits.

    Args:
        size: bytes that it holds, as far as the account may still have them.
    """

    def __init__(self, size: int = PIPE_BYTES) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        with suppress(PermissionError):  # the account has used up its pipe memory; the default size does too
            fcntl.fcntl(self._reading, fcntl.F_SETPIPE_SZ, size)
        self._pause = 0.0

    def close_writing(self) -> None:
        """Leave the writing end to the child alone, so that our reads end with the child."""
        self.writing = _closed(self.writing)

    async def read(self) -> bytes:
        """What the pipe holds, at least one byte; empty at the end."""
        if self._pause:
            await asyncio.sleep(self._pause)
        while True:
            try:
                chunk = os.read(self._reading, PIPE_BYTES)
            except BlockingIOError:
                await self._readable()
                continue
            if len(chunk) < SMALL_READ_BYTES:
                self._pause = min(LONGEST_PAUSE_SECONDS, 2 * self._pause or SHORTEST_PAUSE_SECONDS)
            elif len(chunk) > LARGE_READ_BYTES:
                self._pause = self._pause / 2 if self._pause > SHORTEST_PAUSE_SECONDS else 0.0
            return chunk

    def read_now(self) -> bytes:
        """What the pipe holds at this moment; empty if that is nothing."""
        try:
            return os.read(self._reading, PIPE_BYTES)
        except BlockingIOError:
            return b""

    async def read_all(self) -> bytes:
        """What is written until all writing ends are closed."""
        content = bytearray()
        while chunk := await self.read():
            content += chunk
        return bytes(content)

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._reading, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._reading)

    def close(self) -> None:
        """Close both ends; a child that still writes gets SIGPIPE."""
        self.close_writing()
        os.close(self._reading)


class Channel:
    """A pipe from one child to another: each closes its end here once the child has it, so that both see the end."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def close_reading(self) -> None:
        """Leave the reading end to the child alone."""
        self.reading = _closed(self.reading)

    def close_writing(self) -> None:
        """Leave the writing end to the child alone."""
        self.writing = _closed(self.writing)

    def close(self) -> None:
        """Close both ends."""
        self.close_reading()
        self.close_writing()


def _closed(descriptor: int) -> int:
    if descriptor >= 0:
        os.close(descriptor)
    return -1


class Feed:
    """A pipe to write to: give ``reading`` to the child, close it here, and write."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        with suppress(PermissionError):
            fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def close_reading(self) -> None:
        """Leave the reading end to the child alone, so that we learn when it has ended."""
        self.reading = _closed(self.reading)

    async def write(self, data: bytes | memoryview) -> None:
        """Write all of ``data``, as fast as the child reads.

        Raises:
            BrokenPipeError: the child reads no more.
        """
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._writing, rest) :]
            except BlockingIOError:
                await self._writable()
                await asyncio.sleep(ROOM_PAUSE_SECONDS)

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(self._writing, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self._writing)

    def close(self) -> None:
        """Close both ends."""
        self.close_reading()
        self.end()

    def end(self) -> None:
        """Close our end; the child sees the end of its input."""
        self._writing = _closed(self._writing)
