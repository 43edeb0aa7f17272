"""Presigned links by which a browser sends a recording straight to MinIO."""

from datetime import timedelta
from urllib.parse import urlsplit

from minio import Minio

from reelscribe.settings.shared import MinioSection

LINK_SECONDS = 3600
"""In which a browser has to begin; what has begun continues after its link has expired."""


class DirectUploads:
    """Makes links; it asks MinIO nothing.

    Args:
        section: ``[minio]``, with a ``public_endpoint``.

    Raises:
        SettingsError: the secret key cannot be read.
    """

    def __init__(self, section: MinioSection) -> None:
        assert section.public_endpoint
        address = urlsplit(section.public_endpoint)
        self._public = Minio(
            endpoint=address.netloc,
            access_key=section.access_key,
            secret_key=section.secret_key(),
            secure=address.scheme == "https",
            region=section.region,
        )

    def link(self, bucket: str, savepath: str) -> str:
        """The URL that takes the object with PUT. It is as good as a key: it belongs in no log."""
        return self._public.presigned_put_object(
            bucket_name=bucket, object_name=savepath, expires=timedelta(seconds=LINK_SECONDS)
        )
