"""One object of the bucket, opened: an input for ffmpeg and for ourselves."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class StoredObject:
    """An open object: what happens to its path from here on changes nothing.

    Attributes:
        path: where it was found; for the log only.
        size: bytes of content.
        etag: changes when the content does.
        url: for ffmpeg's ``-i``.
        protocols: that ffmpeg needs for ``url``, as its ``-protocol_whitelist``.
        descriptors: that ffmpeg must inherit.
        ranges: descriptor, offset and length of each stretch of content, in order.
    """

    bucket_name: str
    savepath: str
    path: Path
    size: int
    last_modified: datetime
    etag: str
    url: str
    protocols: str
    descriptors: tuple[int, ...]
    ranges: tuple[tuple[int, int, int], ...]

    @property
    def needs_network(self) -> bool:
        """Whether ffmpeg has to fetch it."""
        return "tcp" in self.protocols.split(",")

    def read(self, offset: int, length: int) -> bytes:
        """Content from ``offset`` on, at most ``length`` bytes; fewer only at the end."""
        end, position, content = offset + length, 0, bytearray()
        for descriptor, start, available in self.ranges:
            first, last = max(offset, position), min(end, position + available)
            if first < last:
                content += os.pread(descriptor, last - first, start + first - position)
            position += available
        return bytes(content)
