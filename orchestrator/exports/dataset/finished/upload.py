"""Copies a finished dataset into a bucket: each file is compared with what is there, and the manifest comes last.

What is there already with the right hash is not sent again, so that an upload that was interrupted continues.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from minio.error import S3Error
from minio.helpers import MIN_PART_SIZE

from orchestrator.errors import NotWritten
from orchestrator.exports.dataset.finished.reading import NoDataset, manifest_of
from orchestrator.exports.dataset.layout import MANIFEST, REPORT, DatasetFolder
from orchestrator.exports.dataset.shard_writer import ShardPaths
from reelscribe.errors import PeerRefused, ServiceError, SettingsError
from reelscribe.minio_client import MinioClient
from reelscribe.settings.shared import MinioSection

PART_BYTES = 16 << 20
"""Of a large file; one part is in memory. S3 takes at most 10,000 of them."""
BLOCK_BYTES = 1 << 20
READ_SECONDS = 60
LARGEST_MANIFEST = 256 << 20
"""Bytes; a shard takes about 200."""
SHOWN = 3

Advance = Callable[[int], None]
"""Called with the number of bytes that are done."""


class Stopped(Exception):
    """The upload was interrupted."""


class DatasetFile(NamedTuple):
    """A file of a dataset: its name in it, and its SHA-256 if the manifest says it."""

    name: str
    path: Path
    sha256: str | None = None


class Uploaded(NamedTuple):
    """How many files and bytes were sent, and how many files were there already."""

    files: int
    bytes: int
    there: int


class _Local(NamedTuple):
    """A file as it is on this disk: ``etag`` as an S3 server calls it that does not encrypt."""

    bytes: int
    sha256: str
    etag: str


class _Stored(NamedTuple):
    """An object as a listing shows it."""

    bytes: int
    etag: str


def files_of(folder: DatasetFolder) -> list[DatasetFile]:
    """All files of a finished dataset, in the order in which they are to be stored.

    Raises:
        NoDataset: it is none.
    """
    manifest = manifest_of(folder)
    shards = folder.shards.relative_to(folder.root)
    files = []
    for entry in manifest["shards"]:
        paths = ShardPaths.of(folder.shards, entry["name"].removesuffix(".tar"))
        files.append(DatasetFile(f"{shards}/{entry['name']}", paths.tar, entry["sha256"]))
        if paths.stats.exists():  # a dataset that was split has none
            files.append(DatasetFile(f"{shards}/{paths.stats.name}", paths.stats))
    for entry in manifest["index"]:
        path = folder.index / entry["name"]
        files.append(DatasetFile(str(path.relative_to(folder.root)), path, entry["sha256"]))
    files.append(DatasetFile(folder.failed.name, folder.failed, manifest["failed_sha256"]))
    if folder.report.exists():
        files.append(DatasetFile(REPORT, folder.report))
    return [*files, DatasetFile(folder.manifest.name, folder.manifest)]


class DatasetUpload(MinioClient):
    """Writes datasets to one bucket of MinIO; its methods block.

    Raises:
        SettingsError: ``[minio]`` has no endpoint or no usable key.
    """

    def __init__(self, minio: MinioSection, bucket: str) -> None:
        if not minio.endpoint:
            raise SettingsError(
                ["a dataset goes through [minio]: endpoint, access_key and secret_key_file are missing"]
            )
        super().__init__(minio, read_seconds=READ_SECONDS, retries=2)
        self._bucket = bucket
        self._stopped = False

    def stop(self) -> None:
        """End soon; what was sent of an unfinished file is removed."""
        self._stopped = True

    def check(self, prefix: str, settings_hash: str) -> None:
        """Whether a dataset of these settings can be stored under a prefix, as far as that can be known before it is
        made.

        Raises:
            NotWritten: a dataset with other settings is there.
            PeerUnreachable, PeerRefused: MinIO does not take it.
        """
        with self.as_service_errors(f"the dataset into bucket {self._bucket}"):
            try:
                response = self.api.get_object(bucket_name=self._bucket, object_name=prefix + MANIFEST)
            except S3Error as failure:
                if failure.code != "NoSuchKey":
                    raise
                return
            try:
                content = response.read(LARGEST_MANIFEST)
            finally:
                response.close()
                response.release_conn()
        try:
            found = json.loads(content)["settings_hash"]
        except (ValueError, KeyError, TypeError):
            found = None
        if found != settings_hash:
            raise NotWritten(
                f"{self._bucket}/{prefix} has a dataset that was made with other settings; name another folder"
            )

    def upload(self, files: list[DatasetFile], prefix: str, advance: Advance) -> Uploaded:
        """Store these files under a prefix, in their order. If one that the manifest describes is missing there, or is
        another one, the manifest is removed before it is sent.

        Raises:
            NotWritten: something else is there, or what was stored is not what was sent.
            NoDataset: a file is not the one that the manifest describes, or cannot be read.
            PeerUnreachable, PeerRefused: MinIO does not take it.
            Stopped: it was interrupted.
        """
        there = self._there(files, prefix)
        manifest = files[-1]
        known = there.get(manifest.name)
        if known and not self._is_same(prefix + manifest.name, known, self._local(manifest)):
            raise NotWritten(f"{self._bucket}/{prefix} has another version of a dataset; name another folder")
        sent = size = 0
        for file in files:
            local = self._local(file)
            name = prefix + file.name
            stored = there.get(file.name)
            if stored is None or not self._is_same(name, stored, local):
                if file.sha256 and there.pop(manifest.name, None):
                    self._remove(prefix + manifest.name)
                self._put(name, file.path, local)
                sent, size = sent + 1, size + local.bytes
            advance(local.bytes)
        return Uploaded(sent, size, len(files) - sent)

    def _there(self, files: list[DatasetFile], prefix: str) -> dict[str, _Stored]:
        found: dict[str, _Stored] = {}
        with self.as_service_errors(f"the dataset into bucket {self._bucket}"):
            for one in self.api.list_objects(bucket_name=self._bucket, prefix=prefix, recursive=True):
                name = (one.object_name or "").removeprefix(prefix)
                found[name] = _Stored(one.size or 0, (one.etag or "").strip('"'))
                self._unless_stopped()
        wanted = {REPORT, *(file.name for file in files)}
        if others := [name for name in found if name not in wanted and name]:
            shown = ", ".join(others[:SHOWN]) + (", …" if len(others) > SHOWN else "")
            raise NotWritten(
                f"{self._bucket}/{prefix} has {len(others)} objects that are not of this dataset ({shown}); name "
                "another folder"
            )
        return found

    def _local(self, file: DatasetFile) -> _Local:
        whole, parts, size = hashlib.sha256(), list[bytes](), 0
        try:
            with file.path.open("rb") as content:
                part = hashlib.md5(usedforsecurity=False)
                while block := content.read(BLOCK_BYTES):
                    self._unless_stopped()
                    if size and not size % PART_BYTES:
                        parts.append(part.digest())
                        part = hashlib.md5(usedforsecurity=False)
                    whole.update(block)
                    part.update(block)
                    size += len(block)
        except OSError as unreadable:
            raise NoDataset(f"{file.path} cannot be read: {unreadable.strerror or unreadable}") from unreadable
        if file.sha256 not in (None, whole.hexdigest()):
            raise NoDataset(
                f"{file.path} is not the file that the manifest describes; see: orchestrator dataset verify"
            )
        if parts:
            parts.append(part.digest())
            together = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
            return _Local(size, whole.hexdigest(), f"{together}-{len(parts)}")
        return _Local(size, whole.hexdigest(), part.hexdigest())

    def _is_same(self, name: str, stored: _Stored, local: _Local) -> bool:
        """By its ETag; where that is no such hash, as in an encrypted bucket, all of it is read back."""
        if stored.bytes != local.bytes:
            return False
        return stored.etag == local.etag or self._read_back(name) == local.sha256

    def _put(self, name: str, path: Path, local: _Local) -> None:
        """
        Raises:
            NotWritten: what is stored is not what was sent.
        """
        with path.open("rb") as content, self.as_service_errors(f"{name} into bucket {self._bucket}"):
            result = self.api.put_object(
                bucket_name=self._bucket,
                object_name=name,
                data=cast(BinaryIO, _Reader(content, self._unless_stopped)),
                length=local.bytes,
                part_size=max(PART_BYTES, MIN_PART_SIZE),
                num_parallel_uploads=1,  # an interrupted upload is then removed completely: no part is on its way
            )
        if (result.etag or "").strip('"') != local.etag and self._read_back(name) != local.sha256:
            raise NotWritten(f"{self._bucket}/{name} is not what was sent, by its SHA-256; run the command again")

    def _remove(self, name: str) -> None:
        with self.as_service_errors(f"that {name} is removed from bucket {self._bucket}"):
            self.api.remove_object(bucket_name=self._bucket, object_name=name)

    def _read_back(self, name: str) -> str:
        digest = hashlib.sha256()
        with self.as_service_errors(f"{name} of bucket {self._bucket}"):
            response = self.api.get_object(bucket_name=self._bucket, object_name=name)
            try:
                for block in self._blocks(response.stream(BLOCK_BYTES)):
                    digest.update(block)
            finally:
                response.close()
                response.release_conn()
        return digest.hexdigest()

    def _blocks(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self._unless_stopped()
            yield block

    def _unless_stopped(self) -> None:
        if self._stopped:
            raise Stopped

    def rejection(self, status: int, what: str, reason: str) -> ServiceError:
        return PeerRefused(
            f"{self} does not take {what} ({reason}); see the bucket, and the rights of [minio] access_key "
            "(s3:PutObject, s3:GetObject, s3:ListBucket; s3:DeleteObject, if a shard there is to be replaced)"
        )


class _Reader:
    """A file as MinIO's client reads it, which can be ended."""

    def __init__(self, file: BinaryIO, unless_stopped: Callable[[], None]) -> None:
        self._file = file
        self._unless_stopped = unless_stopped

    def read(self, size: int = -1) -> bytes:
        self._unless_stopped()
        return self._file.read(size)
