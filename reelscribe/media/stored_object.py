"""An open recording, as an input for ffmpeg and for ourselves."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reelscribe.errors import ServiceError

Read = Callable[[int, int], bytes]


def _no_failure() -> None:
    return None


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
        read_failure: why ffmpeg could not read all of it, if so; its output is then of no use.
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
    read_failure: Callable[[], ServiceError | None] = _no_failure

    @property
    def needs_network(self) -> bool:
        """Whether ffmpeg reads it from an address (127.0.0.1)."""
        return "tcp" in self.protocols.split(",")


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
    )


def reader(ranges: Sequence[tuple[int, int, int]]) -> Read:
    """Reads parts of open files as one content; ``ranges`` are descriptor, offset and length of each, in order."""

    def read(offset: int, length: int) -> bytes:
        end, position, content = offset + length, 0, bytearray()
        for descriptor, start, available in ranges:
            first, last = max(offset, position), min(end, position + available)
            if first < last:
                content += os.pread(descriptor, last - first, start + first - position)
            position += available
        return bytes(content)

    return read
