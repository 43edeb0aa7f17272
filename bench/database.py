"""A PostgreSQL for the time of a bench."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.database import embedded


@contextmanager
def temporary_database() -> Iterator[tuple[Path, str]]:
    """A folder, and the URL of an empty database in it."""
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's PostgreSQL is another user
        with embedded.running(folder / "data") as url:
            yield folder, url
