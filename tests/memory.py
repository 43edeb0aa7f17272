"""Folders that lie in memory: for PostgreSQL, which spends most of its time on a disk while tests come and go."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 << 30
"""Free there, so that all tests of a run find room; the default of a container is 64 MB."""


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder that is removed after the block: in memory if the host has room for it, else on its disk.

    A new database took 0.3 s of CPU time and 2 s of a busy disk, and takes 0.01 s in memory. Any user may pass the
    folder: where we are root, PostgreSQL is another user.
    """
    with tempfile.TemporaryDirectory(prefix=prefix, dir=place()) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def place() -> Path | None:
    """Where temporary folders lie; None: where they always do."""
    has_room = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ENOUGH_BYTES
    return SHARED_MEMORY if has_room else None
