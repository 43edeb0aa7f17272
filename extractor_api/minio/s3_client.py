"""Objects as MinIO's S3 API describes them, and links under which it gives them out."""

from datetime import datetime, timedelta
from typing import NamedTuple

from reelscribe.errors import BucketUnavailable, NotReadable, ObjectNotFound, ServiceError
from reelscribe.minio_client import MinioClient
from reelscribe.settings.shared import MinioSection

READ_SECONDS = 30
RETRIES = 2
LINK_SECONDS = 60
"""A link is used immediately; a download that has begun continues after its link has expired."""


class StoredStat(NamedTuple):
    """An object as MinIO describes it; ``size`` in bytes."""

    size: int
    last_modified: datetime
    etag: str


class S3Client(MinioClient):
    """Reads from one MinIO; all methods but :meth:`link` block.

    Args:
        section: ``[minio]``, with an endpoint.

    Raises:
        SettingsError: the secret key cannot be read.
    """

    def __init__(self, section: MinioSection) -> None:
        super().__init__(section, read_seconds=READ_SECONDS, retries=RETRIES)

    def stat(self, bucket_name: str, savepath: str) -> StoredStat:
        """The current version of an object.

        Raises:
            BucketUnavailable, ObjectNotFound, NotReadable: MinIO has no such bucket or object, or does not give it out.
            PeerUnreachable, PeerRefused: MinIO does not answer, or does not accept our keys.
        """
        with self.as_service_errors(f"{savepath} of bucket {bucket_name}"):
            found = self.api.stat_object(bucket_name=bucket_name, object_name=savepath)
        if not found.etag or not found.last_modified:
            raise self.no_s3_server()  # any web server's page has a length
        return StoredStat(found.size or 0, found.last_modified, found.etag)

    def link(self, bucket_name: str, savepath: str) -> str:
        """A presigned URL of an object that :meth:`stat` has found."""
        return self.api.presigned_get_object(
            bucket_name=bucket_name, object_name=savepath, expires=timedelta(seconds=LINK_SECONDS)
        )

    def check(self, bucket_name: str) -> str:
        """Look for the bucket; returns what was found, in words.

        Raises:
            BucketUnavailable, NotReadable, PeerUnreachable, PeerRefused: see :meth:`stat`.
        """
        with self.as_service_errors(f"bucket {bucket_name}"):
            if not self.api.bucket_exists(bucket_name=bucket_name):
                raise BucketUnavailable(f"{self} has no bucket {bucket_name}; see [paths] bucket_name")
        return f"bucket {bucket_name} at {self.endpoint}"

    def rejection(self, status: int, what: str, reason: str) -> ServiceError:
        if reason == "NoSuchBucket":
            return BucketUnavailable(f"{self} has no bucket of that name ({what}); see: extractor-api check")
        if status == 404:
            return ObjectNotFound(f"{self} has no {what}")
        if reason in ("AccessDenied", "HTTP 403"):
            return NotReadable(
                f"{self} does not let [minio] access_key read {what}; allow it s3:GetObject and s3:ListBucket there"
            )
        hint = "; an object encrypted with its client's key can never be read here" if status else ""
        return NotReadable(f"{self} does not give out {what} ({reason}){hint}")
