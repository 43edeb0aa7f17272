"""The buckets that uploads go into: a plain folder of this host, or MinIO's, by its API or by presigned links.

No error names a folder: the log does.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from minio import Minio

from orchestrator.errors import NotWritten, ObjectExists, UploadIncomplete
from orchestrator.intake.unfinished import mistake_in_new
from orchestrator.intake.unfinished_uploads import FOLDER, Upload, UploadFolder
from orchestrator.intake.upload import BucketUpload, exists, folder_target, move
from reelscribe.blocking_calls import call_blocking
from reelscribe.errors import BadRequest
from reelscribe.settings.loading import Settings

log = logging.getLogger(__name__)

LINK_SECONDS = 3600
"""In which a browser has to begin; what has begun continues after its link has expired."""

Value = TypeVar("Value")


class UploadBuckets:
    """All that may be named.

    Args:
        settings: of the buckets, MinIO and ``[uploads]``.

    Attributes:
        folders: of what is unfinished, by bucket; all of MinIO's share one.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._through_minio = bool(settings.minio.endpoint)
        self._public: Minio | None = None
        names = dict.fromkeys((self._paths.bucket_name, *self._paths.buckets))
        shared = UploadFolder(settings.uploads.data_dir)
        self.folders = {
            name: shared if self._through_minio else UploadFolder(self._paths.minio_data_path / name / FOLDER)
            for name in names
        }

    def are_writable(self) -> bool:
        """Whether this service can store objects of the usual bucket, as far as a look at its folder shows."""
        folder = self._paths.minio_data_path / self._paths.bucket_name
        of_minio = (self._paths.minio_data_path / ".minio.sys").exists()
        return self._through_minio or (os.access(folder, os.W_OK | os.X_OK) and not of_minio)

    async def check_free(self, bucket: str, savepath: str, overwrite: bool) -> None:
        """Refuse an object that cannot be made.

        Raises:
            BadRequest: the bucket or the savepath takes none.
            ObjectExists: there is one, and it is not to be replaced.
            NotWritten: this service cannot write into the bucket.
            PeerUnreachable, PeerRefused: MinIO does not answer, or refuses.
        """
        if bucket not in self.folders:
            raise BadRequest(
                f"bucket_name: {bucket} is no bucket of this service; there is {', '.join(self.folders)}",
                fields=["bucket_name"],
            )
        if mistake := mistake_in_new(savepath):
            raise BadRequest(f"savepath: {savepath} {mistake}", fields=["savepath"])
        if not self._through_minio:
            await self._without_paths(bucket, lambda: asyncio.to_thread(self._check_folders, bucket, savepath))
        if not overwrite and await self._without_paths(bucket, lambda: exists(self._settings, bucket, savepath)):
            raise _exists(bucket, savepath)

    async def store(self, upload: Upload, part: Path, overwrite: bool) -> None:
        """Make an object of a complete file; the file may keep its name.

        Raises: see :meth:`check_free`.
        """
        try:
            await self._without_paths(
                upload.bucket,
                lambda: move(self._settings, upload.bucket, part, upload.savepath, lambda read: None, overwrite),
            )
        except ObjectExists:
            raise _exists(upload.bucket, upload.savepath) from None

    async def check_stored(self, upload: Upload) -> None:
        """See that MinIO has what a browser was to send.

        Raises:
            UploadIncomplete: it has not, or not all of it.
            PeerUnreachable, PeerRefused: see :meth:`check_free`.
        """
        size = await call_blocking(lambda: BucketUpload(self._settings.minio).size(upload.bucket, upload.savepath))
        if size != upload.bytes:
            found = "is not there" if size is None else f"has {size} bytes"
            raise UploadIncomplete(
                f"{upload.savepath} {found} in bucket {upload.bucket}, and {upload.bytes} bytes were announced;"
                " nothing was submitted: send it again",
                offset=0,
                bytes=upload.bytes,
            )

    def link(self, upload: Upload) -> str:
        """The URL at which MinIO takes the object with PUT. It is as good as a key: it belongs in no log.

        Raises:
            SettingsError: the secret key of ``[minio]`` cannot be read.
        """
        section = self._settings.minio
        assert section.public_endpoint
        address = urlsplit(section.public_endpoint)
        self._public = self._public or Minio(
            endpoint=address.netloc,
            access_key=section.access_key,
            secret_key=section.secret_key(),
            secure=address.scheme == "https",
            region=section.region,
        )
        return self._public.presigned_put_object(
            bucket_name=upload.bucket, object_name=upload.savepath, expires=timedelta(seconds=LINK_SECONDS)
        )

    def _check_folders(self, bucket: str, savepath: str) -> None:
        target = folder_target(self._paths.minio_data_path, bucket, savepath)
        if target.is_dir():
            raise BadRequest(f"savepath: {savepath} is a folder of the bucket", fields=["savepath"])
        existing = next(parent for parent in target.parents if parent.exists())
        if not existing.is_dir():
            raise BadRequest(f"savepath: a folder of {savepath} is an object already", fields=["savepath"])

    async def _without_paths(self, bucket: str, action: Callable[[], Awaitable[Value]]) -> Value:
        try:
            return await action()
        except (NotWritten, OSError) as refused:
            raise not_written(bucket, refused) from refused


def not_written(bucket: str, reason: Exception) -> NotWritten:
    """The refusal without the folder, which ``reason`` names; that is logged."""
    log.warning("uploads: bucket %s: %s", bucket, reason)
    return NotWritten(
        f"this orchestrator cannot write into bucket {bucket}; its log says why, and [minio] endpoint or"
        " [paths] minio_data_path is what to set"
    )


def _exists(bucket: str, savepath: str) -> ObjectExists:
    return ObjectExists(
        f"{bucket} has {savepath} already, and it was not replaced; send overwrite = true to replace it, or give the"
        " recording another name"
    )
