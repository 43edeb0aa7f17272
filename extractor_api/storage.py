"""Opens the object of a savepath, and nothing outside its bucket."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from extractor_api.minio.drive import drive_format
from extractor_api.minio.plain_object import open_plain_object
from extractor_api.minio.unreadable import NotReadableHere
from extractor_api.minio.xl_object import open_xl_object
from reelscribe.errors import BadRequest, BucketUnavailable, NotReadable, ObjectNotFound
from reelscribe.media.stored_object import StoredObject
from reelscribe.savepath import mistake_in
from reelscribe.settings.extractor import PathsSection

_HINT = "see: extractor-api check"
_NO_OBJECTS = ("lost+found", ".minio.sys")
"""What lies in a folder before any object does."""


class BucketClosed(BucketUnavailable):
    """The account of the extractor may not read the bucket's folder."""


class LocalStorage:
    """The buckets below MinIO's data folder: plain files, or objects in MinIO's xl.meta layout.

    Args:
        paths: ``[paths]`` of config.cfg.
    """

    def __init__(self, paths: PathsSection) -> None:
        self._data_path = paths.minio_data_path
        self._default_bucket = paths.bucket_name
        self._buckets = tuple(dict.fromkeys((paths.bucket_name, *paths.buckets)))
        self._devices: dict[str, int] = {}

    def __str__(self) -> str:
        return str(self._data_path / self._default_bucket)

    @property
    def buckets(self) -> tuple[str, ...]:
        """All buckets of config.cfg, the default one first."""
        return self._buckets

    @contextmanager
    def open(self, savepath: str, bucket_name: str | None = None) -> Iterator[StoredObject]:
        """Open an object until the block ends.

        Raises:
            BadRequest: the savepath cannot be an object's, or the bucket is not one of config.cfg.
            BucketUnavailable: see :meth:`require`.
            ObjectNotFound: there is no such object.
            NotReadable: its bytes cannot be read from this folder.
            NotReadableHere: they cannot be read from this folder, but MinIO can read them.
        """
        bucket = self.bucket(bucket_name)
        _check_savepath(savepath)
        with ExitStack() as stack:
            try:
                stored = self._open(stack, bucket, savepath)
            except PermissionError:
                raise NotReadableHere(
                    f"the account of the extractor may not read {savepath}; give it read access"
                ) from None
            except NotReadableHere:
                raise
            except (ObjectNotFound, NotReadable):
                self.require(bucket, for_object=True)
                raise
            except OSError as failure:
                self.require(bucket)
                raise NotReadable(f"{savepath} cannot be opened: {failure.strerror}") from None
            yield stored

    def require(self, bucket_name: str | None = None, to_list: bool = False, for_object: bool = False) -> Path:
        """The folder of a bucket, if objects can be read in it now.

        Args:
            to_list: it must be possible to list it too.
            for_object: it must hold something: where a disk is not mounted, its folder is empty.

        Raises:
            BadRequest: it is not one of config.cfg.
            BucketUnavailable: it is not there, no longer mounted, or may not be read.
        """
        bucket = self.bucket(bucket_name)
        folder = self._data_path / bucket
        try:
            device = os.stat(f"{folder}/.").st_dev  # fails if the account may not enter it
            is_empty = _is_empty(folder, to_list)
        except PermissionError:
            raise BucketClosed(f"the account of the extractor may not read bucket {bucket}; {_HINT}") from None
        except (FileNotFoundError, NotADirectoryError):
            raise BucketUnavailable(f"bucket {bucket} is not there; is its drive mounted? {_HINT}") from None
        except OSError as failure:
            raise BucketUnavailable(f"bucket {bucket} cannot be read: {failure.strerror}; {_HINT}") from None
        if not is_empty:
            self._devices[bucket] = device
        elif self._devices.get(bucket, device) != device:
            raise BucketUnavailable(f"bucket {bucket} is not mounted any more: its folder is empty; {_HINT}")
        elif for_object:
            raise BucketUnavailable(f"bucket {bucket} is empty; is its disk mounted? {_HINT}")
        return folder

    def bucket(self, bucket_name: str | None) -> str:
        """The bucket that a request means.

        Raises:
            BadRequest: it is not one of config.cfg.
        """
        bucket = bucket_name or self._default_bucket
        if bucket not in self._buckets:
            raise BadRequest(f"bucket_name: {bucket!r} is not a bucket of this extractor; see [paths] buckets")
        return bucket

    def _open(self, stack: ExitStack, bucket: str, savepath: str) -> StoredObject:
        folder = Path(os.path.realpath(self._data_path / bucket))
        path = folder / savepath
        if (path / "xl.meta").is_file():
            if folder not in Path(os.path.realpath(path)).parents:
                raise NotReadable(f"{savepath} is a link that leads out of the bucket; it is not followed")
            return open_xl_object(stack, path, bucket, savepath)
        if (path / "xl.json").is_file():
            raise NotReadableHere(f"{savepath} is in a layout of before 2020, spread over several drives")
        self._refuse_unless_plain(folder, path, bucket, savepath)
        return open_plain_object(stack, self._data_path, folder, bucket, savepath)

    def _refuse_unless_plain(self, folder: Path, path: Path, bucket: str, savepath: str) -> None:
        """On a drive that MinIO formatted, files are parts of objects: ``a.mp4/xl.meta`` is not an object itself."""
        inside_an_object = any((parent / "xl.meta").is_file() for parent in path.parents if folder in parent.parents)
        if inside_an_object or drive_format(self._data_path) == "xl-single":
            raise ObjectNotFound(f"there is no object {savepath} in bucket {bucket}")


def _check_savepath(savepath: str) -> None:
    if mistake := mistake_in(savepath):
        raise BadRequest(f"savepath: {mistake}")


def _is_empty(folder: Path, to_list: bool) -> bool:
    try:
        with os.scandir(folder) as entries:
            return all(entry.name in _NO_OBJECTS for entry in entries)
    except PermissionError:
        if to_list:
            raise
        return False
