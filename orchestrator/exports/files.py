"""Transcripts into a folder that mirrors the savepaths. A file is complete, or it is not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import NotWritten


class MirrorFolder:
    """A folder with one file for each savepath; the file of ``a/b.mp4`` as srt is ``a/b.mp4.srt``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, savepath: str, suffix: str, content: str) -> None:
        """Write or replace the file of a savepath.

        Raises:
            NotWritten: there can be no such file in this folder, or the disk refuses it.
        """
        if any(part in ("", ".", "..") for part in savepath.split("/")):
            raise NotWritten(f"{savepath} cannot be the name of a file in {self._root}; export it alone, to a file")
        with replacing(self._root, self._root / f"{savepath}.{suffix}") as unfinished:
            unfinished.write_text(content, encoding="utf-8", newline="\n")


@contextmanager
def replacing(root: Path, path: Path) -> Iterator[Path]:
    """A new file to write, which replaces ``path`` if the block succeeds, and is removed otherwise.

    Raises:
        NotWritten: it cannot be written, or a symbolic link leads out of ``root``.
    """
    unfinished = path.parent / f".reelscribe-{os.getpid()}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.resolve().is_relative_to(root.resolve()):
            raise NotWritten(f"{path.parent} leads out of {root} by a symbolic link; nothing was written there")
        try:
            yield unfinished
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as refused:
        raise NotWritten(f"{path} cannot be written: {refused.strerror or refused}") from refused


def remove(path: Path) -> None:
    """Remove a file that an earlier export has left.

    Raises:
        NotWritten: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as refused:
        raise NotWritten(f"{path} cannot be removed: {refused.strerror or refused}") from refused
