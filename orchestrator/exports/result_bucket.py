"""A bucket that ``[results]`` names, as somewhere to store objects."""

from collections.abc import Sequence
from typing import IO, BinaryIO, Protocol, cast

from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, S3Error

from orchestrator.jobs.object_changes import Identity
from reelscribe.errors import PeerRefused, ServiceError, SettingsError
from reelscribe.minio_client import MinioClient
from reelscribe.settings.shared import MinioSection

READ_SECONDS = 60
REMOVAL_READ_SECONDS = 30
"""Shorter than a transaction may be idle."""
GONE = ("NoSuchBucket", "NoSuchKey")
PART_BYTES = 8 << 20
"""Of what is stored while it arrives; one part is in memory."""


class Source(Protocol):
    """Bytes whose number is not known yet."""

    def read(self, size: int) -> bytes:
        """So many, fewer only at the end, where nothing is left once all of it has proved complete; blocks.

        Raises:
            Exception: it is not complete; then nothing is stored.
        """


class ResultBucket(MinioClient):
    """Writes to one bucket of MinIO. Nothing is retried here: whoever stores a result tries again later.

    Args:
        key: of ``[results]`` that names the bucket.

    Raises:
        SettingsError: ``[minio]`` has no endpoint or no usable key.
    """

    def __init__(self, minio: MinioSection, bucket: str, key: str = "bucket") -> None:
        if not minio.endpoint:
            raise SettingsError([f"[results] {key}: needs [minio] endpoint, access_key and secret_key_file"])
        super().__init__(minio, read_seconds=READ_SECONDS, retries=0)
        self._bucket, self._key = bucket, key
        self._stored = StoredResults(minio)

    def put(self, name: str, content: IO[bytes], content_type: str) -> None:
        """Store an object; blocks.

        Raises:
            PeerUnreachable, PeerRefused: it is not stored.
        """
        length = content.seek(0, 2)
        content.seek(0)
        with self.as_service_errors(f"{name} into bucket {self._bucket}"):
            try:
                self.api.put_object(
                    bucket_name=self._bucket,
                    object_name=name,
                    data=cast(BinaryIO, content),
                    length=length,
                    content_type=content_type,
                )
            except InvalidResponseError:
                if name.isprintable():
                    raise
                self.api.bucket_exists(bucket_name=self._bucket)  # else it is no S3 server at all
                raise ValueError("it takes no name with such characters") from None

    def put_stream(self, name: str, source: Source, content_type: str) -> None:
        """Store an object while it arrives: it is there once all of it is, or not at all; blocks.

        Raises:
            PeerUnreachable, PeerRefused: it is not stored.
            Exception: what ``source`` raises.
        """
        with self.as_service_errors(f"{name} into bucket {self._bucket}"):
            self.api.put_object(
                bucket_name=self._bucket,
                object_name=name,
                data=cast(BinaryIO, source),
                length=-1,
                part_size=PART_BYTES,
                content_type=content_type,
                num_parallel_uploads=1,  # what is given up is then removed completely: no part is on its way
            )

    def problem(self) -> str | None:
        """Why nothing can be stored, as far as that can be known before; blocks."""
        try:
            with self.as_service_errors(f"objects into bucket {self._bucket}"):
                there = self.api.bucket_exists(bucket_name=self._bucket)
        except ServiceError as failure:
            return failure.message
        return (
            None if there else f"{self} has no bucket {self._bucket}; make it, or name another in [results] {self._key}"
        )

    def remove(self, bucket: str, names: Sequence[str]) -> None:
        """See :meth:`StoredResults.remove`."""
        self._stored.remove(bucket, names)

    def rejection(self, status: int, what: str, reason: str) -> ServiceError:
        return PeerRefused(
            f"{self} does not take {what} ({reason}); see [results] {self._key}, and the rights of [minio] access_key "
            "(s3:PutObject)"
        )


class StoredResults(MinioClient):
    """Removes results that were stored, and recordings, from whichever buckets they are in.

    Raises:
        SettingsError: ``[minio]`` has no endpoint or no usable key.
    """

    def __init__(self, minio: MinioSection) -> None:
        if not minio.endpoint:
            raise SettingsError(
                ["results in a bucket have to be removed too: [minio] needs endpoint, access_key and secret_key_file"]
            )
        super().__init__(minio, read_seconds=REMOVAL_READ_SECONDS, retries=0)

    def remove(self, bucket: str, names: Sequence[str]) -> None:
        """Remove these objects; those that are gone already count as removed. Blocks.

        Raises:
            PeerUnreachable, PeerRefused: one is not removed.
        """
        together = [DeleteObject(name) for name in names if name.isprintable()]
        with self.as_service_errors(f"{len(names)} stored result(s) in bucket {bucket}"):
            try:
                found = self.api.remove_objects(bucket_name=bucket, delete_object_list=together)
                refused = [error for error in found if error.code not in GONE]
                for name in names:
                    if not name.isprintable():  # XML, in which several are removed, has no control characters
                        self._remove_alone(bucket, name)
            except S3Error as failure:
                if failure.code not in GONE:
                    raise
                return
        if refused:
            raise self.rejection(0, f"{refused[0].name} in bucket {bucket}", refused[0].code or "no reason is known")

    def remove_unchanged(self, bucket: str, name: str, known: Identity) -> None:
        """Remove an object that is still the one that was looked at, and prove it. Blocks.

        S3 does not do both in one step: one that is stored between this look and the removal is removed. That is the
        time of one request.

        Raises:
            PeerUnreachable, PeerRefused: it is not removed, such as one that was replaced meanwhile.
        """
        now = self.find(bucket, [name]).get(name)
        if now and now != known:
            raise PeerRefused(f"{name} in bucket {bucket} was replaced at this moment")
        self.remove(bucket, [name])
        self.prove_removed(bucket, [name])

    def prove_removed(self, bucket: str, names: Sequence[str]) -> None:
        """Look for objects that were removed. Blocks.

        Raises:
            PeerUnreachable, PeerRefused: one is there, or it is not known.
        """
        if there := self.find(bucket, names):
            raise PeerRefused(f"{next(iter(there))} is still in bucket {bucket} after it was removed")

    def find(self, bucket: str, names: Sequence[str]) -> dict[str, Identity]:
        """Those of these objects that exist. Blocks.

        Raises:
            PeerUnreachable, PeerRefused: it is not known of one.
        """
        found: dict[str, Identity] = {}
        for name in names:
            with self.as_service_errors(f"{name} in bucket {bucket}"):
                try:
                    stat = self.api.stat_object(bucket_name=bucket, object_name=name)
                except S3Error as missing:
                    if missing.code not in GONE:
                        raise
                    continue
                except InvalidResponseError:
                    self.api.bucket_exists(bucket_name=bucket)  # if it answers, it can have no object of such a name
                    continue
            found[name] = Identity(stat.etag, stat.size, stat.last_modified)
        return found

    def _remove_alone(self, bucket: str, name: str) -> None:
        try:
            self.api.remove_object(bucket_name=bucket, object_name=name)
        except InvalidResponseError:
            self.api.bucket_exists(bucket_name=bucket)  # if it answers, it can have no object of such a name

    def rejection(self, status: int, what: str, reason: str) -> ServiceError:
        return PeerRefused(
            f"{self} does not remove {what} ({reason}); see the rights of [minio] access_key (s3:DeleteObject)"
        )
