"""Why an object of this drive must be fetched through MinIO."""

from reelscribe.errors import NotReadable


class NotReadableHere(NotReadable):
    """Its bytes are not on this drive, not as they are, or closed to this account: only MinIO can give them out."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; set [minio] endpoint, access_key and secret_key_file to fetch it through MinIO")
