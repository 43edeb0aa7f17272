"""GET /object: the stored bytes, by ranges, of every way in which an object is stored, and never a short body."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extractor_api.file_delivery import byte_range
from reelscribe.errors import RangeNotSatisfiable
from tests.contract import assert_head_is_get_without_its_body
from tests.extractor_api.conftest import Serve, running_ffmpeg
from tests.extractor_api.minio_drive import BLOCK, Version, format_drive, write_object
from tests.s3_server import door, minio, put
from tests.waiting import eventually

SIZE = 2 * BLOCK + 4321
CONTENT = secrets.token_bytes(SIZE)
SPREAD = Version([b"fragment"], fields={"EcM": 2, "EcN": 2, "EcDist": [1, 2, 3, 4]})
INTERESTING = sorted({0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, SIZE // 2, 2 * BLOCK, SIZE - 1, SIZE, SIZE + 1, SIZE * 9})
OFFSETS = st.sampled_from(INTERESTING) | st.integers(0, SIZE + 10)
HUGE_BYTES = 64 << 20


@pytest.fixture(scope="module", params=["plain", "parts", "inline", "minio"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, bytes]]:
    """A data folder with the object ``a/b.bin``, and its content."""
    data_path, content = tmp_path_factory.mktemp("data"), CONTENT
    bucket = data_path / "videos"
    if request.param == "plain":
        (bucket / "a").mkdir(parents=True)
        (bucket / "a/b.bin").write_bytes(content)
    elif request.param == "parts":
        write_object(bucket, "a/b.bin", [Version([content[: BLOCK + 100], content[BLOCK + 100 :]])])
    elif request.param == "inline":
        content = content[: 100 << 10]
        write_object(bucket, "a/b.bin", [Version([content], inline=True)])
    else:
        format_drive(data_path, "xl", drives=4)
        write_object(bucket, "a/b.bin", [SPREAD])
        put(request.getfixturevalue("s3_port"), "a/b.bin", content)
    yield data_path, content


@pytest.fixture
async def sending(
    serve: Serve, stored: tuple[Path, bytes], s3_port: int, tmp_path: Path
) -> tuple[httpx.AsyncClient, bytes]:
    data_path, content = stored
    return await serve(data_path=data_path, minio=minio(tmp_path, s3_port)), content


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=OFFSETS | st.none(), last=OFFSETS | st.none())
async def test_each_range_is_that_slice_of_the_object(
    sending: tuple[httpx.AsyncClient, bytes], first: int | None, last: int | None
) -> None:
    client, content = sending
    size = len(content)
    asked = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    answer = await client.get("/object?savepath=a/b.bin", headers={"Range": asked})
    if first is None:
        expected = content[max(0, size - last) :] if last is not None else content
    else:
        expected = content[first : last + 1 if last is not None else size]
    ignored = (first is None and last is None) or (first is not None and last is not None and last < first)
    if ignored or (len(expected) == size and expected):
        assert (answer.status_code, answer.content) == (200, content)
    elif not expected:
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
        assert answer.json()["error"]["code"] == "range_not_satisfiable"
    else:
        begin = size - len(expected) if first is None else first
        assert (answer.status_code, answer.content) == (206, expected)
        assert answer.headers["Content-Range"] == f"bytes {begin}-{begin + len(expected) - 1}/{size}"
    if answer.status_code != 416:
        assert int(answer.headers["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "lines=1-2", "bytes", "bytes=a-b", "bytes=-", f"bytes=0-{'9' * 5000}"]
)
def test_what_is_no_single_range_of_bytes_is_ignored(asked: str) -> None:
    assert byte_range(asked, 100) == (0, 100)


def test_nothing_of_an_empty_object_can_be_asked_for() -> None:
    assert byte_range("", 0) == (0, 0)
    for asked in ("bytes=0-", "bytes=-5"):
        with pytest.raises(RangeNotSatisfiable):
            byte_range(asked, 0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("short.mp4", "video/mp4"),
        ("short.mkv", "video/x-matroska"),
        ("text.mp4", "application/octet-stream"),
        ("empty.mp4", "application/octet-stream"),
    ],
)
async def test_the_type_is_that_of_the_bytes_whatever_the_name_says(
    extractor: httpx.AsyncClient, bucket: Path, name: str, kind: str
) -> None:
    answer = await extractor.get("/object", params={"savepath": name})
    assert (answer.status_code, answer.content) == (200, (bucket / name).read_bytes())
    assert (answer.headers["Content-Type"], answer.headers["Accept-Ranges"]) == (kind, "bytes")


async def test_a_client_that_has_it_gets_nothing_and_if_range_guards_a_range(extractor: httpx.AsyncClient) -> None:
    url = "/object?savepath=short.mp4"
    await assert_head_is_get_without_its_body(extractor, url)
    complete = await extractor.get(url)
    etag = complete.headers["ETag"]
    assert (await extractor.head(url)).headers["ETag"] == etag
    same = await extractor.get(url, headers={"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    part = await extractor.get(url, headers={"Range": "bytes=5-9", "If-Range": etag})
    assert (part.status_code, part.content) == (206, complete.content[5:10])
    changed = await extractor.get(url, headers={"Range": "bytes=5-9", "If-Range": '"another"'})
    assert (changed.status_code, changed.content) == (200, complete.content)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"savepath": "none.mp4"}, 404, "object_not_found"),
        ({"savepath": "../videos/short.mp4"}, 400, "bad_request"),
        ({"savepath": "short.mp4", "bucket_name": "secret"}, 400, "bad_request"),
        ({}, 400, "bad_request"),
    ],
)
async def test_what_is_no_object_of_the_bucket_is_refused(
    extractor: httpx.AsyncClient, query: dict[str, str], status: int, code: str
) -> None:
    answer = await extractor.get("/object", params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert (await extractor.head("/object", params=query)).status_code == status


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """More than the sockets on its way hold, and no bytes on the disk."""
    path = tmp_path / "data/videos/huge.bin"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(HUGE_BYTES)
    return path


@pytest.mark.parametrize("change", ["cut", "written over"])
async def test_what_is_changed_while_it_is_sent_is_a_cut_body(serve: Serve, huge: Path, change: str) -> None:
    client = await serve(data_path=huge.parent.parent)
    received = 0
    with pytest.raises(httpx.RemoteProtocolError):
        async with client.stream("GET", "/object?savepath=huge.bin") as answer:
            async for chunk in answer.aiter_raw():
                if not received:
                    with huge.open("r+b") as file:
                        file.truncate(HUGE_BYTES // 2) if change == "cut" else file.write(b"new")
                received += len(chunk)
    assert 0 < received < HUGE_BYTES


async def test_what_is_replaced_while_it_is_sent_is_sent_as_it_was(serve: Serve, huge: Path) -> None:
    client = await serve(data_path=huge.parent.parent)
    received, other = 0, huge.with_name("other.bin")
    async with client.stream("GET", "/object?savepath=huge.bin") as answer:
        async for chunk in answer.aiter_raw():
            if not received:
                other.write_bytes(b"new")
                other.replace(huge)
            assert chunk.count(0) == len(chunk)
            received += len(chunk)
    assert received == HUGE_BYTES
    rest = await client.get(
        "/object?savepath=huge.bin", headers={"Range": "bytes=1-", "If-Range": answer.headers["ETag"]}
    )
    assert (rest.status_code, rest.content) == (200, b"new")


async def test_what_only_minio_has_is_cut_if_it_is_replaced_while_it_is_sent(
    serve: Serve, s3_port: int, tmp_path: Path
) -> None:
    format_drive(tmp_path, "xl", drives=4)
    write_object(tmp_path / "videos", "replaced.bin", [SPREAD])
    put(s3_port, "replaced.bin", bytes(HUGE_BYTES))
    async with door(s3_port) as (way, port):
        way.cut_after = HUGE_BYTES // 4  # then the rest is asked for again
        client, received = await serve(data_path=tmp_path, minio=minio(tmp_path, port)), 0
        with pytest.raises(httpx.RemoteProtocolError):
            async with client.stream("GET", "/object?savepath=replaced.bin") as answer:
                async for chunk in answer.aiter_raw():
                    if not received:
                        put(s3_port, "replaced.bin", secrets.token_bytes(1000))
                    received += len(chunk)
    assert 0 < received < HUGE_BYTES


@pytest.mark.parametrize("source", ["drive", "minio"])
async def test_a_client_that_leaves_ends_the_reading_and_one_that_stops_reading_is_cut(
    serve: Serve, huge: Path, s3_port: int, tmp_path: Path, source: str
) -> None:
    data_path = huge.parent.parent
    if source == "minio":
        data_path = tmp_path / "drive"
        data_path.mkdir()
        format_drive(data_path, "xl", drives=4)
        write_object(data_path / "videos", "huge.bin", [SPREAD])
        put(s3_port, "huge.bin", bytes(HUGE_BYTES))
    client = await serve(data_path=data_path, minio=minio(tmp_path, s3_port), stall_timeout=0.5)
    service = client.service  # type: ignore[attr-defined]
    for leaves in (True, False):
        async with client.stream("GET", "/object?savepath=huge.bin") as answer:
            await anext(answer.aiter_raw())
            assert service.download_slots.running == 1
            if not leaves:
                await _none_is_running(service)
        await _none_is_running(service)
    assert not running_ffmpeg()


async def _none_is_running(service: object) -> None:
    def over() -> bool:
        open_objects = [name for name in os.listdir("/proc/self/fd") if _opened(name).endswith("huge.bin")]
        return not (service.running or service.download_slots.running or open_objects)  # type: ignore[attr-defined]

    await eventually(over)


def _opened(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""


async def test_idle_players_take_no_slot_of_ffmpeg_and_more_than_may_wait_are_refused(
    serve: Serve, huge: Path, bucket: Path
) -> None:
    (huge.parent / "short.mp4").write_bytes((bucket / "short.mp4").read_bytes())
    client = await serve(data_path=huge.parent.parent, max_downloads=2, queue_length=0, max_ffmpeg=1)
    async with (
        client.stream("GET", "/object?savepath=huge.bin"),
        client.stream("GET", "/object?savepath=huge.bin"),
    ):
        refused = await client.get("/object?savepath=huge.bin")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
        extracted = await client.post("/extract-audio", json={"savepath": "short.mp4"})
        assert extracted.status_code == 200
