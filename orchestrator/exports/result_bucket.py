"""The bucket that ``[results]`` names, as somewhere to store objects."""

from typing import IO, BinaryIO, cast

from reelscribe.errors import PeerRefused, ServiceError, SettingsError
from reelscribe.minio_client import MinioClient
from reelscribe.settings.orchestrator import ResultsSection
from reelscribe.settings.shared import MinioSection

READ_SECONDS = 60


class ResultBucket(MinioClient):
    """Writes to one bucket of MinIO. Nothing is retried here: whoever stores a result tries again later.

    Raises:
        SettingsError: ``[minio]`` has no endpoint or no usable key.
    """

    def __init__(self, minio: MinioSection, results: ResultsSection) -> None:
        if not (minio.endpoint and results.bucket):
            raise SettingsError(["[results] bucket: needs [minio] endpoint, access_key and secret_key_file"])
        super().__init__(minio, read_seconds=READ_SECONDS, retries=0)
        self._bucket = results.bucket

    def put(self, name: str, content: IO[bytes], content_type: str) -> None:
        """Store an object; blocks.

        Raises:
            PeerUnreachable, PeerRefused: it is not stored.
        """
        length = content.seek(0, 2)
        content.seek(0)
        with self.as_service_errors(f"{name} into bucket {self._bucket}"):
            self.api.put_object(
                bucket_name=self._bucket,
                object_name=name,
                data=cast(BinaryIO, content),
                length=length,
                content_type=content_type,
            )

    def rejection(self, status: int, what: str, reason: str) -> ServiceError:
        return PeerRefused(
            f"{self} does not take {what} ({reason}); see [results] bucket, and the rights of [minio] access_key "
            "(s3:PutObject)"
        )
