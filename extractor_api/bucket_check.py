"""``extractor-api check`` of a bucket: its first object is read; what is wrong is named with its path and user."""

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

from extractor_api.listing import list_objects
from extractor_api.minio.unreadable import NotReadableHere
from extractor_api.storage import LocalStorage
from reelscribe.errors import ServiceError
from reelscribe.settings.extractor import PathsSection

if TYPE_CHECKING:
    from extractor_api.minio.s3_client import S3Client

READ_BYTES = 4096


class BucketProblem(Exception):
    """Why no object of the bucket can be read; for the person at this host, so paths are named."""


def check_bucket(
    storage: LocalStorage, paths: PathsSection, bucket: str, s3: "S3Client | None" = None
) -> str | BucketProblem:
    """Read the beginning of the first object that is found, as the account of this process.

    Args:
        s3: reads what cannot be read on the drive.
    """
    folder = paths.minio_data_path / bucket
    try:
        page = list_objects(storage, bucket, prefix="", after="", limit=1)
    except ServiceError as failure:
        return _problem(folder, failure.message)
    if not page.objects:
        return f"{folder}; it is empty, so nothing was read: is its disk mounted?"
    savepath = page.objects[0].savepath
    try:
        with storage.open(savepath, bucket) as stored:
            stored.read(0, READ_BYTES)
    except NotReadableHere as unreadable:
        if not s3:
            return _problem(folder / savepath, unreadable.message)
        return _through(s3, bucket, savepath)
    except ServiceError as failure:
        return _problem(folder / savepath, failure.message)
    except OSError as failure:
        return BucketProblem(f"{folder / savepath} cannot be read: {failure.strerror}")
    return f"{folder}; {savepath} was read by the user {_account()}{_as_root()}"


def _through(s3: "S3Client", bucket: str, savepath: str) -> str | BucketProblem:
    try:
        s3.stat(bucket, savepath)
    except ServiceError as failure:
        return BucketProblem(failure.message)
    return f"{savepath} cannot be read on the drive; {s3} has it"


def _problem(path: Path, otherwise: str) -> BucketProblem:
    """The first folder on the way to a path that is not there or is closed, else the sentence ``otherwise``."""
    metadata = path / "xl.meta"
    to_read = [path, metadata] if os.path.isdir(path) else [path]
    for step in (*reversed(path.parents), *to_read):
        try:
            os.stat(f"{step}/." if step.is_dir() else step)
            if step in to_read and not os.access(step, os.R_OK, effective_ids=True):
                raise PermissionError
        except PermissionError:
            return BucketProblem(f"{step} may not be read by the user {_account()}; give it read access")
        except FileNotFoundError:
            if step == metadata:
                break
            return BucketProblem(
                f"{step} is not there; is its drive mounted? See [paths] minio_data_path, bucket_name and buckets"
            )
        except OSError as failure:
            return BucketProblem(f"{step} cannot be read: {failure.strerror}")
    return BucketProblem(otherwise)


def _account() -> str:
    number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _as_root() -> str:
    """Root reads everything, so its check says little of a service that runs as another user."""
    if os.geteuid() != 0:
        return ""
    return "; if the service has another user, check as that one: sudo -u USER extractor-api check"
