"""One object of the bucket, opened: an input for ffmpeg and for ourselves."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from machine.errors import MachineError, NotReadable

Read = Callable[[int, int], bytes]


class NotReadableHere(NotReadable):
    """Its bytes are not on this drive, not as they are, or closed to this account: only MinIO can give them out."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}; set [minio] endpoint, access_key and secret_key_file to fetch it through MinIO",
        )


def _never_fails() -> None:
    return None


@dataclass(frozen=True)
class StoredObject:
    """An open object: what happens to its path from here on changes nothing.

    Attributes:
        origin: where it was found; for the log only.
        size: bytes of content.
        etag: changes when the content does.
        url: for ffmpeg's ``-i``.
        protocols: that ffmpeg needs for ``url``, as its ``-protocol_whitelist``.
        descriptors: that ffmpeg must inherit.
        read: content from an offset on, at most so many bytes; fewer only at the end.
        failure: why bytes were kept from ffmpeg, if so: then what it made is not to be judged, nor to be used.
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
    failure: Callable[[], MachineError | None] = _never_fails

    @property
    def needs_network(self) -> bool:
        """Whether ffmpeg has to fetch it (from 127.0.0.1)."""
        return "tcp" in self.protocols.split(",")


def reader(ranges: Sequence[tuple[int, int, int]]) -> Read:
    """Reads stretches of open files as one content: descriptor, offset and length of each, in order."""

    def read(offset: int, length: int) -> bytes:
        end, position, content = offset + length, 0, bytearray()
        for descriptor, start, available in ranges:
            first, last = max(offset, position), min(end, position + available)
            if first < last:
                content += os.pread(descriptor, last - first, start + first - position)
            position += available
        return bytes(content)

    return read
