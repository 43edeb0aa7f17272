"""The files in ``static/``: read once, and served under an address that changes when one of them does."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""By suffix; a file with another one is not served."""


@dataclass(frozen=True)
class StaticFile:
    """One file as it is sent."""

    content: bytes
    content_type: str
    etag: str


class StaticFiles:
    """All files of a folder, by name; no path of a request is ever opened."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def files(self) -> dict[str, StaticFile]:
        """By name."""
        return {
            path.name: StaticFile(content, CONTENT_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"')
            for path in sorted(self._folder.iterdir())
            if path.suffix in CONTENT_TYPES
            for content in [path.read_bytes()]
        }

    @cached_property
    def version(self) -> str:
        """Of all files together: modules import each other by relative addresses."""
        names_and_tags = "".join(f"{name}{file.etag}" for name, file in self.files.items())
        return hashlib.sha256(names_and_tags.encode()).hexdigest()[:12]


STATIC_FILES = StaticFiles(FOLDER)


def address(name: str) -> str:
    """Where a browser finds a static file."""
    if name not in STATIC_FILES.files:
        raise KeyError(f"there is no static file {name}")
    return f"/static/{STATIC_FILES.version}/{name}"
