"""MinIO's S3 API as ``[minio]`` names it: what it holds, what it refuses, and links that it honours for a moment."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError

from reelscribe.errors import NotReadable, ObjectNotFound, PeerRefused, PeerUnreachable, ServiceError, SettingsError
from reelscribe.settings.sections import MinioSection

CONNECT_SECONDS = 5
READ_SECONDS = 30
RETRIES = 2
LINK_SECONDS = 60
"""A link is used at once; what it opened goes on after it has expired."""

_OURS_TO_MEND = ("SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed")


class StoredStat(NamedTuple):
    """An object as MinIO describes it; ``size`` in bytes."""

    size: int
    last_modified: datetime
    etag: str


class S3Client:
    """A client of one MinIO; its methods but :meth:`link` block, and none tells a secret.

    Args:
        section: ``[minio]``, with an endpoint.

    Raises:
        SettingsError: the secret key cannot be read.
    """

    def __init__(self, section: MinioSection) -> None:
        self.endpoint = section.endpoint
        self.tls = ssl.create_default_context()
        self._client = Minio(
            endpoint=section.endpoint,
            access_key=section.access_key,
            secret_key=_secret_key(section),
            secure=section.secure,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                retries=urllib3.Retry(
                    total=RETRIES, redirect=False, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)
                ),
                ssl_context=self.tls,
            ),
        )

    def __str__(self) -> str:
        return f"MinIO at {self.endpoint}"

    def stat(self, bucket_name: str, savepath: str) -> StoredStat:
        """What an object is now.

        Raises:
            ObjectNotFound, NotReadable: MinIO has no such object, or does not give it out.
            PeerUnreachable, PeerRefused: MinIO does not answer, or does not take our keys.
        """
        with self._as_service_errors(f"{savepath} of bucket {bucket_name}"):
            found = self._client.stat_object(bucket_name=bucket_name, object_name=savepath)
        if not found.etag or not found.last_modified:
            raise self._no_s3()  # any web server's page has a length
        return StoredStat(found.size or 0, found.last_modified, found.etag)

    def link(self, bucket_name: str, savepath: str) -> str:
        """A presigned URL of an object that :meth:`stat` has seen."""
        return self._client.presigned_get_object(
            bucket_name=bucket_name, object_name=savepath, expires=timedelta(seconds=LINK_SECONDS)
        )

    def prove(self, bucket_name: str) -> str:
        """Ask for the bucket; returns what was found, in words.

        Raises:
            ObjectNotFound, NotReadable, PeerUnreachable, PeerRefused: see :meth:`stat`.
        """
        with self._as_service_errors(f"bucket {bucket_name}"):
            if not self._client.bucket_exists(bucket_name=bucket_name):
                raise ObjectNotFound(f"{self} has no bucket {bucket_name}; see [paths] bucket_name")
        return f"bucket {bucket_name} at {self.endpoint}"

    def answered(self, status: int, what: str, code: str | None = None) -> ServiceError:
        """The failure that an HTTP status of MinIO, and its own code of an error, stand for."""
        if code in _OURS_TO_MEND:
            return PeerRefused(
                f"{self} refuses the requests of this server ({code}); "
                "correct [minio] access_key and secret_key_file, or this machine's clock"
            )
        if code == "NoSuchBucket":
            return ObjectNotFound(f"{self} has no bucket of that name ({what})")
        if status == 404:
            return ObjectNotFound(f"{self} has no {what}")
        if status >= 500 or status == 429:
            return PeerUnreachable(f"{self} cannot answer now (HTTP {status}); try again")
        if status == 403 and code in (None, "AccessDenied"):
            return NotReadable(
                f"{self} does not let [minio] access_key read {what}; allow it s3:GetObject and s3:ListBucket there"
            )
        reason = code or f"HTTP {status}"
        return NotReadable(f"{self} does not give out {what} ({reason}); encrypted with a client's key, it never will")

    def _no_s3(self) -> PeerRefused:
        return PeerRefused(
            f"what answers at {self.endpoint} does not speak S3; check [minio] endpoint and secure "
            "(MinIO's console has another port)"
        )

    @contextmanager
    def _as_service_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except S3Error as refused:
            raise self.answered(refused.response.status, what, refused.code) from refused
        except ServerError as failed:
            raise self.answered(failed.status_code, what) from failed
        except ValueError as unfit:
            raise NotReadable(f"{what}: {self} cannot be asked for it: {unfit}") from unfit
        except (InvalidResponseError, ParseError) as strange:
            raise self._no_s3() from strange
        except urllib3.exceptions.HTTPError as away:
            cause = away.reason if isinstance(away, urllib3.exceptions.MaxRetryError) else away
            if isinstance(cause, urllib3.exceptions.SSLError):
                raise PeerUnreachable(f"no TLS with {self}: {cause}; see [minio] secure and its certificate") from away
            raise PeerUnreachable(f"{self} does not answer; check that it runs, and [minio] endpoint") from away


def _secret_key(section: MinioSection) -> str:
    path = section.secret_key_file
    try:
        lines = path.read_text(encoding="utf-8").split() if path else []
    except OSError as unreadable:
        raise SettingsError([f"[minio] secret_key_file: {path} cannot be read: {unreadable.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"[minio] secret_key_file: {path} is not UTF-8 text"]) from None
    if len(lines) != 1:
        raise SettingsError([f"[minio] secret_key_file: {path} must hold the secret key in one line, and nothing else"])
    return lines[0]
