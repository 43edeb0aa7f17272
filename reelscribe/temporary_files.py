"""Temporary files without a name, in a folder that keeps disk space for each of them.

They have no name (``O_TMPFILE``, or unlinked immediately), so nothing is left over: the disk space is free again when
the last descriptor is closed, even after kill -9.
"""

import errno
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from reelscribe.errors import NoRoom

SPARE_BYTES = 64 << 20
"""Always left free on the disk."""


def write_all(descriptor: int, content: bytes, position: int, full: NoRoom) -> None:
    """Write all of ``content`` at a position; it blocks.

    Raises:
        NoRoom: ``full``, if the disk is.
    """
    rest = memoryview(content)
    try:
        while rest:
            written = os.pwrite(descriptor, rest, position)
            rest, position = rest[written:], position + written
    except OSError as failure:
        if failure.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise full from None


class TemporaryFolder:
    """The folder for the temporary files of one service.

    Args:
        path: ``[paths] temp_dir`` of config.cfg.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._growing: dict[BinaryIO, int] = {}

    def create(self, wanted: int, otherwise: str) -> BinaryIO:
        """A new file, empty and unbuffered, with space for ``wanted`` bytes until it is closed or settled.

        Args:
            otherwise: what the caller can do if there is no space, for the error.

        Raises:
            NoRoom: the disk cannot hold them in addition to what other files still need, or temp_dir is unusable.
        """
        try:
            disk = os.statvfs(self._path)
        except OSError as unusable:
            raise NoRoom(f"temp_dir cannot be used ({unusable.strerror}): create it; {otherwise}") from None
        free = disk.f_bavail * disk.f_frsize - self._unwritten_bytes() - SPARE_BYTES
        if wanted > free:
            raise NoRoom(
                f"up to {wanted >> 20} MiB are needed and temp_dir has {max(0, free) >> 20} MiB free; {otherwise}"
            )
        file = self._new()
        self._growing[file] = wanted
        return file

    def settle(self, file: BinaryIO) -> None:
        """Release the space that a finished file has not used."""
        self._growing.pop(file, None)

    def _new(self) -> BinaryIO:
        return tempfile.TemporaryFile(dir=self._path, buffering=0)

    def _unwritten_bytes(self) -> int:
        """How much the files may still grow; what they hold already is no longer free on the disk."""
        self._growing = {file: wanted for file, wanted in self._growing.items() if not file.closed}
        return sum(max(0, wanted - os.fstat(file.fileno()).st_size) for file, wanted in self._growing.items())
