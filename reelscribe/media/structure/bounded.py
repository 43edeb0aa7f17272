"""Reading a stored recording within limits, so that a hostile file is neither slow nor costly to look at."""

from reelscribe.media.stored_object import StoredObject

MAX_BYTES = 16 << 20
"""Fetched in all."""

MAX_READS = 4_000
"""Asked for in all, most of them of what has been fetched."""

MAX_FETCHES = 300
"""From the storage: each may be a request over the network."""

AHEAD_BYTES = 4 << 10
"""Fetched at least: headers are close together."""

MAX_CACHED = 32


class Unreadable(Exception):
    """A header is cut or damaged, or a limit is reached."""


class Bytes:
    """The content of a stored object; what was fetched is kept for the next read nearby.

    ``times`` as much as usual may be read.
    """

    def __init__(self, stored: StoredObject, *, times: int = 1) -> None:
        self.size = stored.size
        self._stored = stored
        self._fetched: list[tuple[int, bytes]] = []
        self._bytes_left, self._reads_left, self._fetches_left = (
            times * MAX_BYTES,
            times * MAX_READS,
            times * MAX_FETCHES,
        )

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset`` on; fewer only at the end.

        Raises:
            Unreadable: a limit is reached, or the storage failed.
        """
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        self._reads_left -= 1
        if self._reads_left < 0:
            raise Unreadable
        for start, content in self._fetched:
            if start <= offset and offset + length <= start + len(content):
                return content[offset - start : offset - start + length]
        return self._fetch(offset, length)[:length]

    def exactly(self, offset: int, length: int) -> bytes:
        """``length`` bytes.

        Raises:
            Unreadable: there are fewer, a limit is reached, or the storage failed.
        """
        content = self.read(offset, length)
        if len(content) < length:
            raise Unreadable
        return content

    def tail(self, length: int) -> tuple[int, bytes]:
        """Offset and content of the last ``length`` bytes."""
        start = max(0, self.size - length)
        return start, self.read(start, length)

    def _fetch(self, offset: int, length: int) -> bytes:
        wanted = min(max(length, AHEAD_BYTES), self.size - offset)
        self._bytes_left -= wanted
        self._fetches_left -= 1
        if self._bytes_left < 0 or self._fetches_left < 0:
            raise Unreadable
        try:
            content = self._stored.read(offset, wanted)
        except OSError:
            raise Unreadable from None
        self._fetched.insert(0, (offset, content))
        del self._fetched[MAX_CACHED:]
        return content
