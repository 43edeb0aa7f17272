"""A client of MinIO's S3 API as ``[minio]`` describes it; its failures are our own errors.

The minio package comes with the extras of the extractor and the orchestrator: only they may import this module.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError

from reelscribe.errors import PeerRefused, PeerUnreachable, ServiceError
from reelscribe.settings.shared import MinioSection
from reelscribe.trust import tls_context

CONNECT_SECONDS = 5

_KEY_ERRORS = ("SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed")


class MinioClient(ABC):
    """A client of one MinIO; no error of it shows a secret.

    Args:
        section: ``[minio]``, with an endpoint.
        read_seconds: longest silence of MinIO.
        retries: of a request that gets no answer, or one of 500 and more.

    Attributes:
        endpoint: host and port.
        tls: which certificates are trusted.
        api: the client of the minio package; its methods block.

    Raises:
        SettingsError: the secret key cannot be read.
    """

    def __init__(self, section: MinioSection, *, read_seconds: float, retries: int) -> None:
        self.endpoint = section.endpoint
        self.tls = tls_context()
        self.api = Minio(
            endpoint=section.endpoint,
            access_key=section.access_key,
            secret_key=section.secret_key(),
            secure=section.secure,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                retries=urllib3.Retry(
                    total=retries,
                    redirect=False,
                    backoff_factor=0.2,
                    status_forcelist=(500, 502, 503, 504),
                    raise_on_status=False,
                ),
                ssl_context=self.tls,
            ),
        )

    def __str__(self) -> str:
        return f"MinIO at {self.endpoint}"

    @contextmanager
    def as_service_errors(self, what: str) -> Iterator[None]:
        """Turn the errors of a block that calls :attr:`api` into ours, about ``what``.

        Raises:
            PeerUnreachable: MinIO does not answer, or not now.
            PeerRefused: it does not accept our keys, or is no S3 server.
            ServiceError: it rejects the request, see :meth:`rejection`.
        """
        try:
            yield
        except S3Error as refused:
            raise self.failure(refused.response.status, what, refused.code) from refused
        except ServerError as failed:
            raise self.failure(failed.status_code, what) from failed
        except ValueError as unfit:  # a name that S3 does not allow; nothing was sent
            raise self.rejection(0, what, str(unfit)) from unfit
        except (InvalidResponseError, ParseError) as strange:
            raise self.no_s3_server() from strange
        except urllib3.exceptions.HTTPError as away:
            cause = away.reason if isinstance(away, urllib3.exceptions.MaxRetryError) else away
            if isinstance(cause, urllib3.exceptions.SSLError):
                raise PeerUnreachable(f"no TLS with {self}: {cause}; see [minio] secure and its certificate") from away
            raise PeerUnreachable(f"{self} does not answer; check that it runs, and [minio] endpoint") from away

    def failure(self, status: int, what: str, code: str | None = None) -> ServiceError:
        """Our error for an answer with this HTTP status and, if it has one, S3's own error code."""
        if code in _KEY_ERRORS:
            return PeerRefused(
                f"{self} does not accept the keys of this service ({code}); "
                "correct [minio] access_key and secret_key_file, or the clock of this host"
            )
        if status >= 500 or status == 429:
            return PeerUnreachable(f"{self} cannot answer now (HTTP {status}); try again")
        return self.rejection(status, what, code or f"HTTP {status}")

    @abstractmethod
    def rejection(self, status: int, what: str, reason: str) -> ServiceError:
        """Our error for a request that MinIO rejects for what it asks; ``status`` is 0 if it was never sent."""

    def no_s3_server(self) -> PeerRefused:
        """Our error for an answer that no S3 server gives."""
        return PeerRefused(
            f"what answers at {self.endpoint} does not speak S3; check [minio] endpoint and secure "
            "(MinIO's console has another port)"
        )
