"""Why an object of this drive can only be read through MinIO."""

from reelscribe.errors import NotReadable


class NotReadableHere(NotReadable):
    """Its bytes are not on this drive, are stored in another form, or are closed to this account."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; set [minio] endpoint, access_key and secret_key_file to fetch it through MinIO")
