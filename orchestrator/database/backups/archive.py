"""The file of a backup: a plain tar of the configuration, PostgreSQL's own dump, and a manifest that proves both.

``tar -xf`` and ``pg_restore`` read it too. It is written under another name, ``FILE.partial``, and gets its own once
all of it is on the disk.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.database.backups.contents import Contents
from orchestrator.errors import BackupUnusable, InUse, NotWritten
from reelscribe.temporary_files import SPARE_BYTES

FORMAT = 1
UNFINISHED = ".partial"
"""At the end of the name of a backup that is being written."""
MANIFEST, DUMP, CONFIGURATION = "manifest.json", "database.dump", "config.cfg"
CHUNK_BYTES = 1 << 20
LARGEST_MANIFEST_BYTES = 16 << 20
LOOK_AT_DISK_EVERY_BYTES = 16 << 20

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done, and how much there is, if that is known."""


class Member(BaseModel):
    """A file inside the backup, and the hash that its bytes must have."""

    model_config = ConfigDict(frozen=True)

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a backup says of itself; ``database_bytes`` is the size on the disk of the server, indexes included."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    made_at: str
    version: str
    server_version: int
    dumped_by: int
    database_bytes: int
    contents: Contents
    members: dict[str, Member]


class BackupWriter:
    """A backup that is being written; see :func:`new_backup`."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.members: dict[str, Member] = {}
        self._file, self._path = file, path

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """Append a file of any size in constant memory.

        Raises:
            NotWritten: the disk has no more room, or is only just large enough.
        """
        begin = self._file.tell()
        self._write(_header(name, 0))
        digest, size, looked_at = hashlib.sha256(), 0, 0
        for chunk in chunks:
            if size >= looked_at:
                require_room(self._path.parent, LOOK_AT_DISK_EVERY_BYTES)
                looked_at = size + LOOK_AT_DISK_EVERY_BYTES
            self._write(chunk)
            digest.update(chunk)
            size += len(chunk)
        self._write(bytes(-size % tarfile.BLOCKSIZE))
        end = self._file.tell()
        self._file.seek(begin)
        self._write(_header(name, size))
        self._file.seek(end)
        self.members[name] = Member(bytes=size, sha256=digest.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """Append the manifest, without which the file is no backup."""
        self.add(MANIFEST, [manifest.model_dump_json(indent=1).encode()])
        self._write(bytes(2 * tarfile.BLOCKSIZE))

    def _write(self, content: bytes) -> None:
        try:
            self._file.write(content)
        except OSError as failed:
            raise _not_written(self._path, failed) from None


def left_behind(folder: Path) -> list[Path]:
    """What killed backups have left in a folder: unfinished files of ``*.backup`` that no process is writing."""
    return [path for path in sorted(folder.glob(f"*.backup{UNFINISHED}")) if _is_abandoned(path)]


def _is_abandoned(path: Path) -> bool:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except OSError:  # locked by who writes it, or finished meanwhile
        return False


@contextmanager
def new_backup(path: Path, replaces: bool = False) -> Iterator[BackupWriter]:
    """Write a backup; ``path`` is there once all of it is on the disk, and not before.

    Args:
        replaces: a file that has this name already; else it is kept, and nothing is written.

    Raises:
        NotWritten: the file is there already, or cannot be written.
        InUse: another process is writing it.
    """
    partial = path.with_name(path.name + UNFINISHED)
    with ExitStack() as stack:
        try:
            descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            file = stack.enter_context(os.fdopen(descriptor, "r+b"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _has_name(descriptor, partial):
                raise BlockingIOError  # it was finished meanwhile, and is the backup now
            if path.exists() and not (replaces and path.is_file()):
                partial.unlink()
                raise NotWritten(f"{path} is there already; name another file, or give --replace")
            os.fchmod(descriptor, 0o600)
            file.truncate()  # what a killed one has left
        except BlockingIOError:
            raise InUse(f"another process is writing {path}; wait for it, or name another file") from None
        except OSError as refused:
            raise _not_written(path, refused) from None
        try:
            yield BackupWriter(file, path)
            try:
                file.flush()
                os.fsync(descriptor)
                partial.replace(path)
                _sync_folder(path.parent)
            except OSError as failed:
                raise _not_written(path, failed) from None
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            with suppress(OSError):
                file.close()  # what is still in its buffer has no room either
            raise


class Backup:
    """A backup that is there.

    Raises:
        BackupUnusable: the file cannot be read, is no backup, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with tarfile.open(path, "r:") as tar:
                self._at = {member.name: (member.offset_data, member.size) for member in tar}
            begin, size = self._at[MANIFEST]
            if size > LARGEST_MANIFEST_BYTES:
                raise BackupUnusable(f"{path}: its manifest is larger than any")
            with path.open("rb") as file:
                file.seek(begin)
                read = file.read(size)
            if (known := json.loads(read).get("format")) != FORMAT:
                raise BackupUnusable(f"{path} has the format {known}, this version reads {FORMAT}; use a newer version")
            self.manifest = Manifest.model_validate_json(read)
        except OSError as unreadable:
            raise BackupUnusable(f"{path} cannot be read: {unreadable.strerror or unreadable}") from None
        except tarfile.TarError:
            raise BackupUnusable(f"{path} is no backup, or is cut off") from None
        except KeyError:
            raise BackupUnusable(f"{path} has no manifest: it is no backup, or is cut off") from None
        except (ValidationError, ValueError, AttributeError, RecursionError):
            raise BackupUnusable(f"{path}: its manifest cannot be read; the file is damaged") from None
        there = self.manifest.members.keys() & self._at.keys()
        if missing := {DUMP, *self.manifest.members} - there:
            raise BackupUnusable(f"{path} lacks {', '.join(sorted(missing))}; the file is damaged")

    def read(self, name: str, progress: Progress, doing: str) -> Iterator[bytes]:
        """The bytes of a file inside, in constant memory; the last are followed by the proof that they are all right.

        Raises:
            BackupUnusable: they are not those that were written.
        """
        expected, (begin, size) = self.manifest.members[name], self._at[name]
        digest, left = hashlib.sha256(), size
        try:
            with self.path.open("rb") as file:
                file.seek(begin)
                while left and (chunk := file.read(min(CHUNK_BYTES, left))):
                    digest.update(chunk)
                    left -= len(chunk)
                    progress(doing, size - left, size)
                    yield chunk
        except OSError as unreadable:
            raise BackupUnusable(f"{self.path} cannot be read: {unreadable.strerror or unreadable}") from None
        if left or size != expected.bytes or digest.hexdigest() != expected.sha256:
            raise BackupUnusable(f"{self.path} is damaged: {name} is not what was written")


def require_room(folder: Path, wanted: int) -> None:
    """Leave the disk some room: a database that is on it too would stop.

    Raises:
        NotWritten: there are not as many bytes.
    """
    try:
        free = shutil.disk_usage(folder).free - SPARE_BYTES
    except OSError as unusable:
        raise NotWritten(f"{folder} cannot be used: {unusable.strerror}") from None
    if free < wanted:
        raise NotWritten(
            f"the disk of {folder} has {max(0, free) >> 20} MiB of room, about {max(1, wanted >> 20)} MiB are needed; "
            "make some, or name another folder"
        )


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(time.time())
    return member.tobuf(tarfile.GNU_FORMAT)


def _not_written(path: Path, failed: OSError) -> NotWritten:
    return NotWritten(f"{path} cannot be written: {failed.strerror or failed}; nothing was changed")


def _has_name(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
