"""Uploads on disk while they arrive: what was announced as JSON, and next to it the bytes that are there.

Both survive ``kill -9``; an upload is resumed at the number of bytes that its file has.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import InUse
from orchestrator.intake.submission import Outcome
from reelscribe.errors import BadRequest, NoRoom
from reelscribe.savepath import OWN_PREFIX
from reelscribe.temporary_files import SPARE_BYTES, write_all

FOLDER = f"{OWN_PREFIX}uploads"
"""In a bucket that is a plain folder: on its disk, and hidden, so that nothing takes its files for recordings."""
ENDINGS = (".json", ".part", ".new")
WRITE_BYTES = 256 << 10
"""Most bytes that an interruption loses."""


class Upload(BaseModel):
    """What was announced.

    Attributes:
        bytes: of the complete recording.
        is_direct: the browser sends it to MinIO; there is no file of ours.
        options: how to transcribe it.
        job, outcome: once it is stored and submitted.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    bucket: str
    savepath: str
    bytes: int
    overwrite: bool
    is_direct: bool
    options: dict[str, Any]
    priority: int | None
    job: int | None = None
    outcome: Outcome | None = None


class UploadFolder:
    """The unfinished uploads of one folder; all methods but those of :class:`Writer` block."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def free_bytes(self) -> int:
        """What one more upload may need: the others keep what they still lack.

        Raises:
            OSError: the folder cannot be made.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        disk = os.statvfs(self.path)
        lacking = sum(
            upload.bytes - (self.stored_bytes(upload.id) or 0) for upload in self.all() if self.arrives(upload)
        )
        return disk.f_bavail * disk.f_frsize - lacking - SPARE_BYTES

    def arrives(self, upload: Upload) -> bool:
        """Whether bytes of it may still come here."""
        return upload.job is None and not upload.is_direct and self.part(upload.id).exists()

    def add(self, upload: Upload) -> None:
        """A new upload, without a byte.

        Raises:
            OSError: it cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if not upload.is_direct:
            self.part(upload.id).touch(exist_ok=False)
        self.write(upload)

    def write(self, upload: Upload) -> None:
        """Replace what is known of it.

        Raises:
            OSError: it cannot be written.
        """
        record, fresh = self._record(upload.id), self.path / f"{upload.id}.new"
        with fresh.open("w", encoding="utf-8") as file:
            file.write(upload.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(record)

    def get(self, id: str) -> Upload | None:
        """An upload; None if there is none, or another version has written it."""
        try:
            return Upload.model_validate_json(self._record(id).read_bytes())
        except (OSError, ValidationError):
            return None

    def all(self) -> Iterator[Upload]:
        """Every upload, the finished ones that are still known among them."""
        for record in self.path.glob("*.json"):
            if upload := self.get(record.stem):
                yield upload

    def stored_bytes(self, id: str) -> int | None:
        """How much of it has arrived; None if it has no file: it is a direct one, or became an object."""
        try:
            return self.part(id).stat().st_size
        except OSError:
            return None

    def idle_seconds(self, id: str) -> float:
        """Since its last byte, or its last change."""
        ages = [0.0]
        for path in (self.part(id), self._record(id), self.path / f"{id}.new"):
            with suppress(OSError):
                ages.append(path.stat().st_mtime)
        return time.time() - max(ages)

    def part(self, id: str) -> Path:
        """The file that its bytes come into."""
        return self.path / f"{id}.part"

    def remove(self, id: str) -> None:
        """Forget it, and all that has arrived of it."""
        for path in (self._record(id), self.part(id), self.path / f"{id}.new"):
            path.unlink(missing_ok=True)

    def remove_others(self, ids: Container[str], seconds: float) -> None:
        """Remove files of that age of other uploads: a crash has left them without a record, or their records are
        another version's, or of another bucket.
        """
        for path in self.path.iterdir():
            if path.suffix in ENDINGS and path.stem not in ids and self.idle_seconds(path.stem) > seconds:
                path.unlink(missing_ok=True)

    def open(self, id: str) -> int:
        """A descriptor of its file, for writing, which no one else has until it is closed.

        Raises:
            InUse: someone does, in this process or in another one.
            OSError: there is no such file.
        """
        descriptor = os.open(self.part(id), os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            os.close(descriptor)
            if not isinstance(taken, BlockingIOError):
                raise
            raise InUse("another connection sends bytes of this upload; try again in a moment") from None
        return descriptor

    def _record(self, id: str) -> Path:
        return self.path / f"{id}.json"


class Writer:
    """Appends to the file of an upload what one connection sends; a later connection replaces it.

    Args:
        descriptor: of the file, see :meth:`UploadFolder.open`; it is closed with :meth:`stop`.
        length: of the complete recording, in bytes.
    """

    def __init__(self, descriptor: int, length: int) -> None:
        self._descriptor = descriptor
        self._length = length
        self._unwritten = bytearray()
        self._writing = asyncio.Lock()
        self._stopped = False
        self.stored = os.fstat(descriptor).st_size

    async def write(self, chunk: bytes) -> None:
        """Take more bytes.

        Raises:
            BadRequest: they are more than were announced.
            InUse: another connection has taken over.
            NoRoom: the disk is full; what is stored stays.
        """
        if self.stored + len(self._unwritten) + len(chunk) > self._length:
            raise BadRequest(f"the bytes are more than the {self._length} that were announced")
        self._unwritten += chunk
        if len(self._unwritten) >= WRITE_BYTES:
            await self._flush()

    async def finish(self) -> int:
        """Store what is left, so that a crash of the host does not lose it; how many bytes there are now.

        Raises: see :meth:`write`.
        """
        await self._flush()
        async with self._writing:
            if not self._stopped:
                await asyncio.to_thread(os.fsync, self._descriptor)
        return self.stored

    async def stop(self) -> None:
        """Store what has come, write nothing more, and let others write."""
        with suppress(NoRoom, InUse, OSError):
            await self._flush()
        async with self._writing:
            if not self._stopped:
                self._stopped = True
                os.close(self._descriptor)

    async def _flush(self) -> None:
        async with self._writing:
            if self._stopped:
                raise InUse("another connection sends bytes of this upload")
            block = bytes(self._unwritten)
            full = NoRoom("the disk is full; make room, then resume: what has arrived is kept", offset=self.stored)
            await asyncio.to_thread(write_all, self._descriptor, block, self.stored, full)
            del self._unwritten[: len(block)]
            self.stored += len(block)
