"""A tar of samples while it arrives: nothing is written to a disk, and one sample is in memory."""

import tarfile
from collections.abc import AsyncIterator
from typing import NamedTuple

from orchestrator.exports.dataset.samples import RECORD
from reelscribe.errors import StreamCut

BLOCK = tarfile.BLOCKSIZE


class TarSample(NamedTuple):
    """The files of one key, by what follows the dot in their names."""

    key: str
    files: dict[str, bytes]


async def tar_samples(chunks: AsyncIterator[bytes]) -> AsyncIterator[TarSample]:
    """The samples of a tar, each of which ends with its ``KEY.json``.

    Raises:
        StreamCut: what comes is no such tar, or not all of one.
    """
    stream = _Stream(chunks)
    key, files = "", dict[str, bytes]()
    while any(header := await stream.read(BLOCK)):
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except tarfile.HeaderError as malformed:
            raise StreamCut(f"what came is no tar: {malformed}") from malformed
        name, _, ending = member.name.partition(".")
        if files and name != key:
            raise StreamCut(f"the sample {key} has no record")
        key = name
        content = await stream.read(member.size + -member.size % BLOCK)
        files[ending] = content[: member.size]
        if ending == RECORD:
            yield TarSample(key, files)
            files = {}
    if files:
        raise StreamCut(f"the sample {key} has no record")
    await stream.drain()


class _Stream:
    """Reads exact numbers of bytes out of chunks."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._pending = bytearray()

    async def read(self, count: int) -> bytes:
        while len(self._pending) < count:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                raise StreamCut("the tar ends before its end")
            self._pending += chunk
        content = bytes(self._pending[:count])
        del self._pending[:count]
        return content

    async def drain(self) -> None:
        """Read to the end, so that all is compared with the receipt."""
        async for _ in self._chunks:
            pass
