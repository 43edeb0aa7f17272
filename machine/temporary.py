"""Files without a name in a folder whose room is minded.

They have none (``O_TMPFILE``, or unlinked at once), so nothing can be left over: the disk has its room back when the
last descriptor is closed, also after kill -9.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from machine.errors import NoRoom

SPARE_BYTES = 64 << 20
"""Left free on the disk."""


class TemporaryFolder:
    """Where one machine puts its temporary files.

    Args:
        path: ``[paths] temp_dir`` of config.cfg.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserved = 0

    @contextmanager
    def reserve(self, wanted: int, otherwise: str) -> Iterator[None]:
        """Room for ``wanted`` bytes until the block ends.

        Args:
            otherwise: what the caller may do where there is none.

        Raises:
            NoRoom: the disk cannot hold them, with what is reserved already.
        """
        disk = os.statvfs(self._path)
        free = disk.f_bavail * disk.f_frsize - self._reserved - SPARE_BYTES
        if wanted > free:
            raise NoRoom(
                f"up to {wanted >> 20} MiB are needed and temp_dir has {max(0, free) >> 20} MiB free; {otherwise}"
            )
        self._reserved += wanted
        try:
            yield
        finally:
            self._reserved -= wanted

    def create(self) -> BinaryIO:
        """A new file, empty and unbuffered; its room is its creator's to reserve."""
        return tempfile.TemporaryFile(dir=self._path, buffering=0)
