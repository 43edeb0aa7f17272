"""A local file into the bucket: into its folder if that is a plain one, else through ``[minio]``.

An object is there completely or not at all, and one that exists is replaced only on request.
"""

import asyncio
import errno
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from minio.error import S3Error

from orchestrator.errors import NotWritten, ObjectExists
from reelscribe.blocking_calls import call_blocking
from reelscribe.errors import PeerRefused, ServiceError
from reelscribe.minio_client import MinioClient
from reelscribe.savepath import OWN_PREFIX, leads_out
from reelscribe.settings.loading import Settings
from reelscribe.settings.shared import MinioSection

BLOCK_BYTES = 4 << 20
READ_SECONDS = 60
MISSING = ("NoSuchKey", "NoSuchObject")

Advance = Callable[[int], None]
"""Called with the number of bytes that have been read of the file."""


async def upload(
    settings: Settings, bucket: str, file: BinaryIO, savepath: str, overwrite: bool, advance: Advance
) -> None:
    """Store an open file as an object.

    Raises:
        ObjectExists: there is one, and ``overwrite`` is false.
        NotWritten: the folder of the bucket does not take it.
        PeerUnreachable, PeerRefused: MinIO does not take it.
        SettingsError: the key of ``[minio]`` cannot be read.
    """
    if settings.minio.endpoint:
        await _to_minio(settings.minio, bucket, file, savepath, overwrite, advance)
    else:
        await _to_folder(settings.paths.minio_data_path, bucket, file, savepath, overwrite, advance)


async def remove_leftovers(settings: Settings, bucket: str, savepath: str) -> None:
    """Remove what uploads that were killed long ago have left in the folder of this savepath; MinIO does so itself.

    Raises:
        NotWritten: see :func:`folder_target`.
    """
    if not settings.minio.endpoint:
        folder = folder_target(settings.paths.minio_data_path, bucket, savepath).parent
        await asyncio.to_thread(_remove_old_parts, folder, settings.uploads.keep_seconds)


async def move(
    settings: Settings, bucket: str, path: Path, savepath: str, advance: Advance, overwrite: bool = False
) -> None:
    """Make a finished file an object: by its name if both are on one file system, and then without a copy.

    The file may keep its old name too; if it is the object already, nothing happens.

    Raises: see :func:`upload`.
    """
    if settings.minio.endpoint:
        with path.open("rb") as file:
            await _to_minio(settings.minio, bucket, file, savepath, overwrite, advance)
    else:
        target = folder_target(settings.paths.minio_data_path, bucket, savepath)
        try:
            with path.open("rb") as file:
                await asyncio.to_thread(os.fsync, file.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            if not _place(path, target, overwrite):
                raise _exists(bucket, savepath)
        except OSError as refused:
            raise NotWritten(f"{target} cannot be written: {refused.strerror or refused}") from refused


async def exists(settings: Settings, bucket: str, savepath: str) -> bool:
    """Whether there is such an object.

    Raises: see :func:`upload`.
    """
    if settings.minio.endpoint:
        return await asyncio.to_thread(BucketUpload(settings.minio).exists, bucket, savepath)
    return folder_target(settings.paths.minio_data_path, bucket, savepath).exists()


def folder_target(data_path: Path, bucket: str, savepath: str) -> Path:
    """Where an object of a plain folder belongs.

    Raises:
        NotWritten: there is no such folder, it is MinIO's own, or the savepath leads out of it.
    """
    root = data_path / bucket
    if not root.is_dir():
        raise NotWritten(
            f"there is no folder {root} to upload into; see [paths] minio_data_path, or name MinIO in [minio] endpoint"
        )
    if (data_path / ".minio.sys").exists():
        raise NotWritten(
            f"{root} belongs to MinIO, which would not know of a file that is put there; set [minio] endpoint, "
            "access_key and secret_key_file"
        )
    target = root / savepath
    if leads_out(root, target.parent):
        raise NotWritten(f"{target.parent} leads out of {root} by a symbolic link; nothing was written there")
    return target


async def _to_folder(
    data_path: Path, bucket: str, file: BinaryIO, savepath: str, overwrite: bool, advance: Advance
) -> None:
    target = folder_target(data_path, bucket, savepath)
    unfinished = target.parent / f"{OWN_PREFIX}{secrets.token_hex(8)}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() or (target.exists() and not overwrite):
            raise _exists(bucket, savepath)
        try:
            with unfinished.open("xb") as copy:
                while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
                    await asyncio.to_thread(copy.write, block)
                    advance(len(block))
                await asyncio.to_thread(os.fsync, copy.fileno())
            if not _place(unfinished, target, overwrite):
                raise _exists(bucket, savepath)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as refused:
        raise NotWritten(f"{target} cannot be written: {refused.strerror or refused}") from refused


def _remove_old_parts(folder: Path, seconds: float) -> None:
    with suppress(OSError):  # what keeps us from the folder, the upload itself will say
        for part in folder.glob(f"{OWN_PREFIX}*.part"):
            if time.time() - part.stat().st_mtime > seconds:
                part.unlink()


def _place(unfinished: Path, target: Path, overwrite: bool) -> bool:
    """Give the file its name, but not that of one that has come meanwhile, unless it is to be replaced."""
    if not overwrite:
        try:
            target.hardlink_to(unfinished)
            return True
        except FileExistsError:
            return target.samefile(unfinished)
        except OSError:  # a file system without hard links
            if target.exists():
                return False
    unfinished.replace(target)
    return True


async def _to_minio(
    section: MinioSection, bucket: str, file: BinaryIO, savepath: str, overwrite: bool, advance: Advance
) -> None:
    store, source = BucketUpload(section), _Source(file, advance)
    await call_blocking(partial(store.put, bucket, source, savepath, overwrite), source.stop)


class _Source:
    """The file as MinIO's client reads it, in a thread: it counts, and can be ended."""

    def __init__(self, file: BinaryIO, advance: Advance) -> None:
        self.length = os.fstat(file.fileno()).st_size
        self._stopped = False
        self._file = file
        self._advance = advance
        self._left = self.length

    def stop(self) -> None:
        """Let the client end the upload at its next read, and remove what it has stored."""
        self._stopped = True

    def read(self, size: int = -1) -> bytes:
        if self._stopped:
            raise OSError("the upload was interrupted")
        block = self._file.read(size)
        self._left -= len(block)
        if not block and size and self._left > 0:
            raise OSError(errno.EIO, "it has become shorter during the upload")
        self._advance(len(block))
        return block


class BucketUpload(MinioClient):
    """Writes one object of a bucket."""

    def __init__(self, section: MinioSection) -> None:
        super().__init__(section, read_seconds=READ_SECONDS, retries=0)

    def put(self, bucket: str, source: _Source, savepath: str, overwrite: bool) -> None:
        """Blocks."""
        with self.as_service_errors(f"{savepath} into bucket {bucket}"):
            if not overwrite and self._stat(bucket, savepath) is not None:
                raise _exists(bucket, savepath)
            self.api.put_object(
                bucket_name=bucket,
                object_name=savepath,
                data=cast(BinaryIO, source),
                length=source.length,
                num_parallel_uploads=1,  # an interrupted upload is then removed completely: no part is on its way
            )

    def exists(self, bucket: str, savepath: str) -> bool:
        """Blocks."""
        with self.as_service_errors(f"{savepath} into bucket {bucket}"):
            return self._stat(bucket, savepath) is not None

    def size(self, bucket: str, savepath: str) -> int | None:
        """Of an object, in bytes; None if there is none. Blocks."""
        with self.as_service_errors(f"{savepath} of bucket {bucket}"):
            return self._stat(bucket, savepath)

    def _stat(self, bucket: str, savepath: str) -> int | None:
        try:
            return self.api.stat_object(bucket_name=bucket, object_name=savepath).size or 0
        except S3Error as missing:
            if missing.code in MISSING:
                return None
            raise

    def rejection(self, status: int, what: str, reason: str) -> ServiceError:
        return PeerRefused(
            f"{self} does not take {what} ({reason}); see --bucket, and the rights of [minio] access_key (s3:PutObject)"
        )


def _exists(bucket: str, savepath: str) -> ObjectExists:
    return ObjectExists(
        f"{bucket} has {savepath} already, and it was not replaced; --overwrite replaces it, --into FOLDER/ stores "
        "the file elsewhere"
    )
