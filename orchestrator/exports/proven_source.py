"""What the extractor sends, as a client that blocks reads it: it only ends once all of it has proved complete."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from typing import Any


class ProvenSource:
    """Read in another thread than that of the event loop in which the bytes arrive.

    Args:
        chunks: what is read; it raises if the sender cuts it, or has sent something else.
        prove: called once all has arrived; raises if it is not to be stored.
    """

    def __init__(self, chunks: AsyncIterator[bytes], prove: Callable[[], Awaitable[None]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks = chunks
        self._prove = prove
        self._pending = bytearray()
        self._ended = self._stopped = False
        self._filling: Future[None] | None = None

    def stop(self) -> None:
        """Let the reader end now, and remove what it has stored."""
        self._stopped = True
        if self._filling:
            self._filling.cancel()

    def read(self, size: int) -> bytes:
        """See :class:`orchestrator.exports.result_bucket.Source`."""
        if not self._ended and len(self._pending) < size:
            self._filling = asyncio.run_coroutine_threadsafe(self._fill(size), self._loop)
            self._filling.result()
        content = bytes(self._pending[:size])
        del self._pending[:size]
        return content

    async def _fill(self, size: int) -> None:
        while len(self._pending) < size:
            if self._stopped:
                raise OSError("it was interrupted")
            chunk: Any = await anext(self._chunks, None)
            if chunk is None:
                await self._prove()
                self._ended = True
                return
            self._pending += chunk
