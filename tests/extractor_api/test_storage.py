"""A savepath reaches one file of the bucket, and nothing outside it."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from extractor_api.bucket_check import check_bucket
from extractor_api.listing import list_objects
from extractor_api.storage import LocalStorage
from reelscribe.errors import BadRequest, BucketUnavailable, NotReadable, ObjectNotFound, ServiceError
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


class TestBucket:
    """A bucket that cannot be used says nothing about its objects."""

    def test_one_that_is_not_there_is_unavailable(self, storage: LocalStorage, data_path: Path) -> None:
        (data_path / "videos").rename(data_path / "unmounted")
        for use in (lambda: content(storage, "youtube/one.mp4"), lambda: list_objects(storage, None, "", "", 10)):
            with pytest.raises(BucketUnavailable, match="bucket videos is not there"):
                use()

    def test_one_that_lacks_the_object_is_not(self, storage: LocalStorage) -> None:
        with pytest.raises(ObjectNotFound):
            content(storage, "youtube/none.mp4")

    def test_an_empty_one_can_be_listed_unless_it_was_on_another_drive_and_lacks_no_object(
        self, storage: LocalStorage, data_path: Path
    ) -> None:
        assert storage.require("other-bucket") == data_path / "other-bucket"
        (data_path / "other-bucket" / "two.mp4").unlink()
        assert list_objects(storage, "other-bucket", "", "", 10).objects == []
        (data_path / "other-bucket" / "lost+found").mkdir()
        with pytest.raises(BucketUnavailable, match="other-bucket is empty; is its disk mounted"):
            content(storage, "two.mp4", "other-bucket")
        other_drive = next(
            path for path in (Path("/dev/shm"), Path("/proc")) if path.stat().st_dev != _device(data_path)
        )
        shutil.rmtree(data_path / "other-bucket")
        (data_path / "other-bucket").symlink_to(other_drive)
        storage.require("other-bucket")
        (data_path / "other-bucket").unlink()
        (data_path / "other-bucket").mkdir()
        with pytest.raises(BucketUnavailable, match="not mounted any more"):
            content(storage, "two.mp4", "other-bucket")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
    def test_one_that_is_closed_to_the_service_is_named_with_its_path_and_user(self) -> None:
        user = pwd.getpwuid(65534).pw_name
        done = subprocess.run([sys.executable, "-c", AS_ANOTHER_USER], capture_output=True, text=True)
        assert done.stdout.splitlines() == [
            f"b'one' FOLDER/videos; one.mp4 was read by the user {user}",
            f"NotReadableHere FOLDER/videos/one.mp4 may not be read by the user {user}; give it read access",
            f"BucketClosed FOLDER/videos may not be read by the user {user}; give it read access",
            f"BucketClosed FOLDER may not be read by the user {user}; give it read access",
        ], done.stderr

    def test_check_says_that_it_is_not_there(self, data_path: Path) -> None:
        paths = PathsSection(minio_data_path=data_path, bucket_name="missing")
        assert str(check_bucket(LocalStorage(paths), paths, "missing")).startswith(f"{data_path}/missing is not there")

    def test_check_says_why_a_plain_file_is_no_object_that_can_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "videos").mkdir()
        (tmp_path / "videos" / "a.mp4").write_bytes(b"compressed")
        metadata = tmp_path / ".minio.sys" / "buckets" / "videos" / "a.mp4"
        metadata.mkdir(parents=True)
        (metadata / "fs.json").write_text('{"meta": {"X-Minio-Internal-compression": "klauspost/compress/s2"}}')
        paths = PathsSection(minio_data_path=tmp_path)
        assert "compressed" in str(check_bucket(LocalStorage(paths), paths, "videos"))


def _device(path: Path) -> int:
    return path.stat().st_dev


AS_ANOTHER_USER = """
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from extractor_api.bucket_check import check_bucket
from extractor_api.storage import LocalStorage
from reelscribe.settings.extractor import PathsSection

def show():
    os.seteuid(65534)
    try:
        with storage.open("one.mp4") as stored:
            became = stored.read(0, 3)
    except Exception as failure:
        became = type(failure).__name__
        try:
            storage.require()
        except Exception as unavailable:
            became = type(unavailable).__name__
    print(became, str(check_bucket(storage, paths, "videos")).replace(folder, "FOLDER"))
    os.seteuid(0)

os.setgroups([])
with TemporaryDirectory() as folder:
    data_path = Path(folder)
    data_path.chmod(0o755)
    (data_path / "videos").mkdir()
    (data_path / "videos" / "one.mp4").write_text("one")
    paths = PathsSection(minio_data_path=data_path)
    storage = LocalStorage(paths)
    show()
    for closed in (data_path / "videos" / "one.mp4", data_path / "videos", data_path):
        closed.chmod(0)
        show()
"""
