"""Transcripts into a folder that mirrors the savepaths. A file is complete, or it is not there."""

import errno
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import NotWritten
from reelscribe.savepath import OWN_PREFIX, leads_out


class MirrorFolder:
    """A folder with one file for each savepath, in the same folders."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._written: set[int] = set()

    def write(self, savepath: str, name: str, content: bytes) -> None:
        """Write or replace the file of a savepath, at ``name`` in this folder.

        Raises:
            NotWritten: there can be no such file in this folder, the disk refuses it, or another savepath has it.
        """
        if any(part in ("", ".", "..") for part in (*savepath.split("/"), *name.split("/"))):
            raise NotWritten(f"{savepath} cannot be the name of a file in {self._root}; export it alone, to a file")
        if (key := hash(name)) in self._written:
            raise NotWritten(
                f"{savepath} is not written: {self._root / name} is the file of another recording; use {{folder}}/ and "
                "{name} in --name"
            )
        try:
            with replacing(self._root, self._root / name) as unfinished:
                unfinished.write_bytes(content)
        except NotWritten as failure:
            if isinstance(failure.__cause__, OSError) and failure.__cause__.errno == errno.ENAMETOOLONG:
                raise NotWritten(f"{failure.message}; name it with --name, such as '{{stem}}.{{format}}'") from failure
            raise
        self._written.add(key)


@contextmanager
def replacing(root: Path, path: Path) -> Iterator[Path]:
    """A new file to write, which replaces ``path`` if the block succeeds, and is removed otherwise.

    Raises:
        NotWritten: it cannot be written, or a symbolic link leads out of ``root``.
    """
    unfinished = path.parent / f"{OWN_PREFIX}{secrets.token_hex(8)}.part"
    if leads_out(root, path.parent):
        raise NotWritten(f"{path.parent} leads out of {root} by a symbolic link; nothing was written there")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
