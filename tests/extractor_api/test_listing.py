"""GET /objects: the bucket in the order of its savepaths, one page at a time."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from extractor_api.listing import list_objects
from extractor_api.storage import LocalStorage
from reelscribe.settings.extractor import PathsSection
from tests.extractor_api.conftest import Serve
from tests.extractor_api.minio_drive import Version, format_drive, write_object

KEYS = [
    "a", "a.mp4", "a/b.mp4", "a/b/c.mp4", "a0", "b-1/x", "b/x", "b0/x",
    "calls/2026/01/one.mp4", "calls/2026/02/two.mp4", "ä/ö.mp4", "z z/%41.mp4",
]  # fmt: skip


def in_order(keys: Sequence[str]) -> list[str]:
    return sorted(keys, key=str.encode)


@pytest.fixture(params=["plain", "xl.meta"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[LocalStorage, list[str]]:
    folder = tmp_path / "videos"
    folder.mkdir()
    keys = KEYS if request.param == "xl.meta" else [key for key in KEYS if key not in ("a",)]
    if request.param == "xl.meta":
        format_drive(tmp_path)
        for key in keys:
            write_object(folder, key, [Version([key.encode()])])
        write_object(folder, "calls/deleted.mp4", [Version(deleted=True)])
    else:
        for key in keys:
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_text(key)
        (folder / "empty" / "folder").mkdir(parents=True)
    return LocalStorage(PathsSection(minio_data_path=tmp_path)), in_order(keys)


def listed(storage: LocalStorage, prefix: str = "", after: str = "", limit: int = 1000) -> list[str]:
    return [found.savepath for found in list_objects(storage, None, prefix, after, limit).objects]


def test_all_objects_come_in_the_order_of_their_bytes(filled: tuple[LocalStorage, list[str]]) -> None:
    storage, keys = filled
    assert listed(storage) == keys


def test_every_page_size_gives_the_same_list(filled: tuple[LocalStorage, list[str]]) -> None:
    storage, keys = filled
    for limit in range(1, len(keys) + 2):
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = list_objects(storage, None, "", after, limit)
            assert len(page.objects) <= limit
            found += [listed.savepath for listed in page.objects]
            after = page.next
        assert found == keys


def test_any_prefix_and_any_after_select_as_s3_does(filled: tuple[LocalStorage, list[str]]) -> None:
    storage, keys = filled
    cuts = {key[:length] for key in keys for length in range(len(key) + 1)}
    for text in cuts:
        assert listed(storage, prefix=text) == [key for key in keys if key.startswith(text)]
        assert listed(storage, after=text) == [key for key in keys if key.encode() > text.encode()]


def test_each_object_has_size_time_and_etag(filled: tuple[LocalStorage, list[str]]) -> None:
    storage, _ = filled
    for found in list_objects(storage, None, "", "", 1000).objects:
        assert found.size == len(found.savepath.encode()) and found.etag and found.last_modified and not found.reason


def test_an_encrypted_object_is_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    secret = Version([b"x"], system={"X-Minio-Internal-Server-Side-Encryption-Iv": b"x"})
    write_object(tmp_path / "videos", "secret.mp4", [secret])
    (found,) = list_objects(LocalStorage(PathsSection(minio_data_path=tmp_path)), None, "", "", 10).objects
    assert found.size is None and "encrypted" in str(found.reason)


def test_an_empty_object_that_marks_a_folder_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    write_object(tmp_path / "videos", "talks__XLDIR__", [Version([b""])])
    write_object(tmp_path / "videos", "talks/a.mp4", [Version([b"x"])])
    assert listed(LocalStorage(PathsSection(minio_data_path=tmp_path))) == ["talks/a.mp4"]


def test_what_we_keep_in_the_folder_ourselves_is_no_object(tmp_path: Path) -> None:
    for name in (".reelscribe-uploads/1.part", "talks/.reelscribe-7.part", "talks/a.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).write_text(name)
    assert listed(LocalStorage(PathsSection(minio_data_path=tmp_path))) == ["talks/a.mp4"]


def test_a_page_reads_only_the_folders_it_touches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in range(200):
        (tmp_path / "videos" / f"{folder:03}").mkdir(parents=True)
        for name in range(3):
            (tmp_path / "videos" / f"{folder:03}" / f"{name}.mp4").touch()
    storage = LocalStorage(PathsSection(minio_data_path=tmp_path))
    read: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (read.append(str(path)), scandir(path))[1])
    assert listed(storage, after="100/1.mp4", limit=4) == ["100/2.mp4", "101/0.mp4", "101/1.mp4", "101/2.mp4"]
    assert len(read) <= 5


async def test_the_route_pages_and_refuses(serve: Serve, tmp_path: Path) -> None:
    keys = in_order([f"{random.Random(n).random()}.mp4" for n in range(25)])
    (tmp_path / "videos").mkdir()
    for key in keys:
        (tmp_path / "videos" / key).touch()
    client: httpx.AsyncClient = await serve(data_path=tmp_path)
    first = (await client.get("/objects", params={"limit": 10})).json()
    second = (await client.get("/objects", params={"limit": 10, "after": first["next"]})).json()
    third = (await client.get("/objects", params={"limit": 10, "after": second["next"]})).json()
    pages = (first, second, third)
    assert [found["savepath"] for page in pages for found in page["objects"]] == keys
    assert third["next"] is None
    for query in ("limit=0", "limit=5000", "limit=ten", "bucket_name=secret", "colour=red"):
        response = await client.get(f"/objects?{query}")
        assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_request")
