"""The bucket that results are stored in, through MinIO's S3 API."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError

from reelscribe.errors import PeerRefused, PeerUnreachable, SettingsError
from reelscribe.settings.orchestrator import ResultsSection
from reelscribe.settings.sections import MinioSection

CONNECT_SECONDS, READ_SECONDS = 5, 60


class ResultBucket:
    """The bucket that results go to, by MinIO's S3 API.

    Raises:
        SettingsError: ``[minio]`` has no endpoint or no usable key.
    """

    def __init__(self, minio: MinioSection, results: ResultsSection) -> None:
        if not (minio.endpoint and results.bucket):
            raise SettingsError(["[results] bucket: needs [minio] endpoint, access_key and secret_key_file"])
        self._bucket = results.bucket
        self._name = f"MinIO at {minio.endpoint}"
        self._client = Minio(
            endpoint=minio.endpoint,
            access_key=minio.access_key,
            secret_key=minio.secret_key(),
            secure=minio.secure,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), retries=False
            ),
        )

    def put(self, name: str, content: IO[bytes], content_type: str) -> None:
        """Store an object; blocks.

        Raises:
            PeerUnreachable, PeerRefused: it is not stored.
        """
        length = content.seek(0, 2)
        content.seek(0)
        with self._as_service_errors(name):
            self._client.put_object(
                bucket_name=self._bucket,
                object_name=name,
                data=cast(BinaryIO, content),
                length=length,
                content_type=content_type,
            )

    @contextmanager
    def _as_service_errors(self, name: str) -> Iterator[None]:
        where = f"{name} into bucket {self._bucket}"
        try:
            yield
        except S3Error as refused:
            raise PeerRefused(
                f"{self._name} does not take {where} ({refused.code}); see [results] bucket, and the rights of "
                "[minio] access_key (s3:PutObject)"
            ) from refused
        except (ServerError, InvalidResponseError) as strange:
            raise PeerRefused(f"{self._name} did not take {where}: {strange}") from strange
        except ValueError as unfit:
            raise PeerRefused(f"{where}: cannot be stored: {unfit}") from unfit
        except urllib3.exceptions.HTTPError as away:
            raise PeerUnreachable(f"{self._name} does not answer; check that it runs, and [minio] endpoint") from away
