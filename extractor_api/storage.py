"""From a savepath to an open file of the bucket, and to nothing outside it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from machine.errors import BadRequest, NotReadable, ObjectNotFound
from machine.settings import PathsSection

MAX_SAVEPATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255


@dataclass(frozen=True)
class StoredObject:
    """One object, opened: what happens to its path from here on changes nothing.

    Attributes:
        descriptor: of the open file.
        path: where it was found; for the log only.
        size: bytes.
        etag: changes when the file does; made of its inode, size and modification time.
    """

    bucket_name: str
    savepath: str
    descriptor: int
    path: Path
    size: int
    last_modified: datetime
    etag: str


class LocalStorage:
    """The buckets below MinIO's data folder, read as files.

    Args:
        paths: ``[paths]`` of config.cfg.
    """

    def __init__(self, paths: PathsSection) -> None:
        self._data_path = paths.minio_data_path
        self._default_bucket = paths.bucket_name
        self._buckets = {paths.bucket_name, *paths.buckets}

    def __str__(self) -> str:
        return str(self._data_path / self._default_bucket)

    @contextmanager
    def open(self, savepath: str, bucket_name: str | None = None) -> Iterator[StoredObject]:
        """Open an object until the block ends.

        Raises:
            BadRequest: the savepath cannot be an object's, or the bucket is not one of config's.
            ObjectNotFound: there is no such object.
            NotReadable: there is, but its bytes cannot be read from this folder.
        """
        bucket = bucket_name or self._default_bucket
        if bucket not in self._buckets:
            raise BadRequest(f"bucket_name: {bucket!r} is not a bucket of this server; see [paths] buckets")
        _check_savepath(savepath)
        descriptor = self._open(bucket, savepath)
        try:
            status = os.fstat(descriptor)
            yield StoredObject(
                bucket_name=bucket,
                savepath=savepath,
                descriptor=descriptor,
                path=self._data_path / bucket / savepath,
                size=status.st_size,
                last_modified=datetime.fromtimestamp(status.st_mtime, timezone.utc),
                etag=f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}",
            )
        finally:
            os.close(descriptor)

    def _open(self, bucket: str, savepath: str) -> int:
        folder = Path(os.path.realpath(self._data_path / bucket))
        path = folder / savepath
        if any((parent / "xl.meta").is_file() for parent in (path, *path.parents) if folder in parent.parents):
            raise NotReadable(
                f"{savepath} is stored in MinIO's xl.meta layout, which is not read from disk; "
                "keep the bucket as plain files"
            )
        try:
            # Without O_NONBLOCK, opening a FIFO would wait for its writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectNotFound(f"there is no object {savepath} in bucket {bucket}") from None
        except PermissionError:
            raise NotReadable(f"the account of this server may not read {savepath}; give it read access") from None
        except OSError as failure:
            raise NotReadable(f"{savepath} cannot be opened: {failure.strerror}") from None
        try:
            # Asked of the open file, not of the path: the path may be swapped for a link meanwhile.
            if folder not in Path(os.readlink(f"/proc/self/fd/{descriptor}")).parents:
                raise NotReadable(f"{savepath} is a link that leads out of the bucket; it is not followed")
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(mode):
                raise ObjectNotFound(f"{savepath} is a folder in bucket {bucket}; name an object in it")
            if not stat.S_ISREG(mode):
                raise NotReadable(f"{savepath} is no regular file")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _check_savepath(savepath: str) -> None:
    """Refuse what MinIO refuses as an object name, and its own folder."""
    segments = savepath.split("/")
    try:
        encoded = savepath.encode()
    except UnicodeEncodeError:
        raise BadRequest("savepath: is not valid Unicode") from None
    if "\0" in savepath:
        raise BadRequest("savepath: must not contain NUL")
    if len(encoded) > MAX_SAVEPATH_BYTES:
        raise BadRequest(f"savepath: is over {MAX_SAVEPATH_BYTES} bytes")
    if savepath.startswith("/"):
        raise BadRequest("savepath: must not start with '/'; it is relative to the bucket, like youtube/abc123.mp4")
    if any(segment.strip() in (".", "..") for segment in segments):
        raise BadRequest("savepath: must not contain '.' or '..' as a folder")
    if not all(segments):
        raise BadRequest("savepath: must not contain '//' or end with '/'")
    if any(len(segment.encode()) > MAX_SEGMENT_BYTES for segment in segments):
        raise BadRequest(f"savepath: a part between '/' is over {MAX_SEGMENT_BYTES} bytes")
    if segments[0] == ".minio.sys":
        raise BadRequest("savepath: .minio.sys is MinIO's own folder")
