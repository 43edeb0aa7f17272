"""Files without a name in a folder whose room is minded.

They have none (``O_TMPFILE``, or unlinked at once), so nothing can be left over: the disk has its room back when the
last descriptor is closed, also after kill -9.
"""

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from reelscribe.errors import NoRoom

SPARE_BYTES = 64 << 20
"""Left free on the disk."""


class TemporaryFolder:
    """Where one machine puts its temporary files.

    Args:
        path: ``[paths] temp_dir`` of config.cfg.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._growing: dict[BinaryIO, int] = {}

    def create(self, wanted: int, otherwise: str) -> BinaryIO:
        """A new file, empty and unbuffered, with room for ``wanted`` bytes until it is closed or settled.

        Args:
            otherwise: what the caller may do where there is none.

        Raises:
            NoRoom: the disk cannot hold them, with what other files will still need.
        """
        disk = os.statvfs(self._path)
        free = disk.f_bavail * disk.f_frsize - self._unwritten_bytes() - SPARE_BYTES
        if wanted > free:
            raise NoRoom(
                f"up to {wanted >> 20} MiB are needed and temp_dir has {max(0, free) >> 20} MiB free; {otherwise}"
            )
        file = self._new()
        self._growing[file] = wanted
        return file

    def settle(self, file: BinaryIO) -> None:
        """Leave the room to others that a file needs no more, for it is whole."""
        self._growing.pop(file, None)

    def _new(self) -> BinaryIO:
        return tempfile.TemporaryFile(dir=self._path, buffering=0)

    def _unwritten_bytes(self) -> int:
        """What files may still grow by; what they hold already is missing from the disk."""
        self._growing = {file: wanted for file, wanted in self._growing.items() if not file.closed}
        return sum(max(0, wanted - os.fstat(file.fileno()).st_size) for file, wanted in self._growing.items())
