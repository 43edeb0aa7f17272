"""A PostgreSQL for the time of a bench."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from orchestrator.database import embedded


@contextmanager
def temporary_database(most_connections: int | None = None) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL of an empty database in it.

    Args:
        most_connections: other than PostgreSQL's default.
    """
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's PostgreSQL is another user
        if most_connections:
            with embedded.running(folder / "data") as url, psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"alter system set max_connections = {most_connections}")
        with embedded.running(folder / "data") as url:
            yield folder, url
