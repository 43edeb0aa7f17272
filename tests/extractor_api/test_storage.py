"""A savepath reaches one file of the bucket, and nothing outside it."""

import os
from pathlib import Path

import pytest

from extractor_api.storage import LocalStorage
from reelscribe.errors import BadRequest, NotReadable, ObjectNotFound, ServiceError
from reelscribe.settings.extractor import PathsSection


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    (tmp_path / "videos" / "youtube").mkdir(parents=True)
    (tmp_path / "other-bucket").mkdir()
    (tmp_path / "videos" / "youtube" / "one.mp4").write_bytes(b"one")
    (tmp_path / "other-bucket" / "two.mp4").write_bytes(b"two")
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    return tmp_path


@pytest.fixture
def storage(data_path: Path) -> LocalStorage:
    return LocalStorage(PathsSection(minio_data_path=data_path, buckets=("other-bucket",)))


def content(storage: LocalStorage, savepath: str, bucket_name: str | None = None) -> bytes:
    with storage.open(savepath, bucket_name) as stored:
        return stored.read(0, 100)


def test_an_object_is_opened_by_its_savepath(storage: LocalStorage) -> None:
    with storage.open("youtube/one.mp4") as stored:
        assert (stored.savepath, stored.bucket_name, stored.size) == ("youtube/one.mp4", "videos", 3)
        assert stored.read(0, 10) == b"one"


def test_the_descriptor_is_closed_after_the_block(storage: LocalStorage) -> None:
    with storage.open("youtube/one.mp4") as stored:
        pass
    with pytest.raises(OSError, match="Bad file descriptor"):
        stored.read(0, 1)


def test_an_allowed_bucket_can_be_named(storage: LocalStorage) -> None:
    assert content(storage, "two.mp4", "other-bucket") == b"two"


@pytest.mark.parametrize("bucket_name", ["..", "secret", ".minio.sys", "/", "videos/youtube"])
def test_no_other_bucket_can(storage: LocalStorage, bucket_name: str) -> None:
    with pytest.raises(BadRequest, match="buckets"):
        content(storage, "two.mp4", bucket_name)


@pytest.mark.parametrize(
    ("savepath", "words"),
    [
        ("../secret.mp4", "'..'"),
        ("youtube/../../secret.mp4", "'..'"),
        ("youtube/ .. /one.mp4", "'..'"),
        ("./youtube/one.mp4", "'.'"),
        ("/etc/passwd", "start with '/'"),
        ("youtube//one.mp4", "'//'"),
        ("youtube/", "end with '/'"),
        ("youtube/one.mp4\0.mp3", "NUL"),
        ("x" * 256, "255 bytes"),
        ("x/" * 600 + "x", "1024 bytes"),
        ("\ud800.mp4", "Unicode"),
        (".minio.sys/config", "MinIO's own"),
    ],
)
def test_what_cannot_be_an_object_name_is_refused(storage: LocalStorage, savepath: str, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        content(storage, savepath)
    assert words in refused.value.message


@pytest.mark.parametrize("savepath", ["youtube/nothing.mp4", "youtube", "youtube/one.mp4/part", "nothing/at/all"])
def test_what_is_not_an_object_is_not_found(storage: LocalStorage, savepath: str) -> None:
    with pytest.raises(ObjectNotFound):
        content(storage, savepath)


def test_a_link_out_of_the_bucket_is_not_followed(storage: LocalStorage, data_path: Path) -> None:
    (data_path / "videos" / "file.mp4").symlink_to(data_path / "secret.mp4")
    (data_path / "videos" / "folder").symlink_to(data_path / "other-bucket")
    for savepath in ("file.mp4", "folder/two.mp4"):
        with pytest.raises(NotReadable, match="leads out of the bucket"):
            content(storage, savepath)


def test_a_link_within_the_bucket_is_followed(storage: LocalStorage, data_path: Path) -> None:
    (data_path / "videos" / "again.mp4").symlink_to(data_path / "videos" / "youtube" / "one.mp4")
    assert content(storage, "again.mp4") == b"one"


def test_a_bucket_that_is_itself_a_link_works(data_path: Path) -> None:
    (data_path / "linked").symlink_to(data_path / "videos")
    storage = LocalStorage(PathsSection(minio_data_path=data_path, bucket_name="linked"))
    assert content(storage, "youtube/one.mp4") == b"one"


def test_a_fifo_is_refused_immediately(storage: LocalStorage, data_path: Path) -> None:
    os.mkfifo(data_path / "videos" / "pipe.mp4")
    with pytest.raises(NotReadable, match="not a regular file"):
        content(storage, "pipe.mp4")


def test_the_etag_changes_with_the_file(storage: LocalStorage, data_path: Path) -> None:
    with storage.open("youtube/one.mp4") as before:
        pass
    (data_path / "videos" / "youtube" / "one.mp4").write_bytes(b"uno")
    with storage.open("youtube/one.mp4") as after:
        assert after.etag != before.etag


def test_no_refusal_shows_where_the_bucket_is(storage: LocalStorage, data_path: Path) -> None:
    for savepath in ("nothing.mp4", "youtube", "../x", "youtube/one.mp4/x"):
        with pytest.raises(ServiceError) as refused:
            content(storage, savepath)
        assert str(data_path) not in refused.value.message
