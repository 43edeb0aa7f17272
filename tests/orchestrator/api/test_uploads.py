"""Recordings that are uploaded over HTTP into a bucket that is a plain folder."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from orchestrator.intake import unfinished_uploads
from orchestrator.intake.unfinished_uploads import FOLDER
from reelscribe.contracts.scopes import Scope
from reelscribe.http.access.tokens import Token, Tokens
from reelscribe.settings.orchestrator import UploadsSection
from tests.orchestrator.api.uploading import BYTES, TALK, announced, done, offset, send


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bucket that is a plain folder."""
    folder = tmp_path / "minio" / "videos"
    folder.mkdir(parents=True)
    return folder


def objects(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and FOLDER not in path.parts
    )


def left_over(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / FOLDER).glob("*"))


async def test_what_is_sent_in_pieces_becomes_an_object_and_a_job(api, folder):
    upload = await announced(api, language="en", priority=5)
    assert (upload["offset"], upload["put"], upload["bytes"]) == (0, None, len(TALK))
    assert (await send(api, upload, TALK[:1_000_000], 0)).headers["Upload-Offset"] == "1000000"
    assert objects(folder) == []
    early = (await done(api, upload)).json()["error"]
    assert (early["code"], early["offset"], early["bytes"]) == ("upload_incomplete", 1_000_000, len(TALK))
    assert (await send(api, upload, TALK[1_000_000:], 1_000_000)).status_code == 204
    answer = await done(api, upload)
    job = answer.json()
    assert (answer.status_code, job["savepath"], job["outcome"]) == (202, "talks/a.mp4", "new")
    assert (job["options"], job["priority"]) == ({"language": "en"}, 5)
    assert (folder / "talks/a.mp4").read_bytes() == TALK
    again = (await done(api, upload)).json()
    assert (again["id"], again["outcome"]) == (job["id"], "new")
    assert left_over(folder) == [".json"]


async def test_a_broken_connection_and_a_killed_service_lose_at_most_a_quarter_mebibyte(api, folder, restart):
    upload = await announced(api)

    async def breaks() -> AsyncIterator[bytes]:
        yield TALK[:700_000]
        await asyncio.sleep(0.2)  # so that it arrives
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await api.patch(
            upload["upload"],
            content=breaks(),
            headers={"Upload-Offset": "0", "Content-Type": BYTES, "Content-Length": str(len(TALK))},
        )
    restart()
    while (stored := await offset(api, upload)) < 700_000 - (256 << 10):
        await asyncio.sleep(0.01)  # the end of the request before is still being written
    assert stored <= 700_000
    wrong = await send(api, upload, TALK[700_001:], 700_001)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (409, "wrong_offset")
    while (resumed := await send(api, upload, TALK[stored:], stored)).status_code == 409:
        stored = resumed.json()["error"]["offset"]
    assert resumed.status_code == 204
    assert (await done(api, upload)).status_code == 202
    assert (folder / "talks/a.mp4").read_bytes() == TALK


async def test_a_second_connection_takes_over_from_one_that_hangs(api, folder):
    upload = await announced(api)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hangs() -> AsyncIterator[bytes]:
        yield TALK[:600_000]
        begun.set()
        await ended.wait()
        yield TALK[600_000:600_001]

    headers = {"Upload-Offset": "0", "Content-Type": BYTES}
    hanging = asyncio.create_task(api.patch(upload["upload"], content=hangs(), headers=headers))
    await begun.wait()
    while not (stored := await offset(api, upload)):
        await asyncio.sleep(0.01)
    answer = await send(api, upload, TALK[stored:], stored)
    if answer.status_code == 409:  # more of the first has been stored meanwhile
        stored = answer.json()["error"]["offset"]
        answer = await send(api, upload, TALK[stored:], stored)
    assert answer.status_code == 204
    ended.set()
    assert (await hanging).json()["error"]["code"] == "in_use"
    await done(api, upload)
    assert (folder / "talks/a.mp4").read_bytes() == TALK


async def test_an_object_is_replaced_only_if_asked_also_if_it_came_meanwhile(api, folder):
    (folder / "old.mp4").write_bytes(b"old")
    refused = await api.post("/api/uploads", json={"savepath": "old.mp4", "bytes": 3})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "object_exists")
    upload = await announced(api, "new.mp4", b"new")
    await send(api, upload, b"new", 0)
    (folder / "new.mp4").write_bytes(b"faster")
    assert (await done(api, upload)).json()["error"]["code"] == "object_exists"
    assert (folder / "new.mp4").read_bytes() == b"faster"
    assert (await done(api, upload, overwrite=True)).status_code == 202
    assert (folder / "new.mp4").read_bytes() == b"new"
    replacing = await announced(api, "old.mp4", b"replaced", overwrite=True)
    await send(api, replacing, b"replaced", 0)
    await done(api, replacing)
    assert (folder / "old.mp4").read_bytes() == b"replaced"


@pytest.mark.parametrize("stored_as", ["link", "name"])
async def test_what_was_stored_but_not_submitted_before_a_crash_is_submitted_after_it(
    stored_as, api, folder, restart, sql
):
    upload = await announced(api, "a.mp4", b"talk")
    await send(api, upload, b"talk", 0)
    part = next((folder / FOLDER).glob("*.part"))
    if stored_as == "link":
        (folder / "a.mp4").hardlink_to(part)
        await done(api, upload)
    else:
        part.rename(folder / "a.mp4")
        cleaning = asyncio.create_task(restart().keep_clean())
        while not (await api.get(upload["upload"])).json()["job"]:
            await asyncio.sleep(0.01)
        cleaning.cancel()
    assert await sql("select savepath from media") == [("a.mp4",)]
    assert (folder / "a.mp4").read_bytes() == b"talk"


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"savepath": "../a.mp4"}, 400, "must not contain '.' or '..'"),
        ({"savepath": f"{FOLDER}/x.json"}, 400, "hidden file"),
        ({"savepath": "talk/xl.meta"}, 400, "hidden file"),
        ({"savepath": "folder"}, 400, "is a folder of the bucket"),
        ({"savepath": "old.mp4/new.mp4"}, 400, "is an object already"),
        ({"bucket_name": "others"}, 400, "is no bucket of this service; there is videos"),
        ({"bytes": 0}, 400, "bytes"),
        ({"bytes": 1 << 49}, 413, "at most 10737418240 are taken"),
        ({"savepath": "out/new.mp4"}, 507, "cannot write into bucket videos"),
    ],
)
async def test_what_cannot_be_uploaded_is_a_sentence_before_a_byte_is_sent(
    body, status, sentence, api, folder, tmp_path
):
    (folder / "folder").mkdir()
    (folder / "old.mp4").write_bytes(b"old")
    (tmp_path / "elsewhere").mkdir()
    (folder / "out").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    answer = await api.post("/api/uploads", json={"savepath": "a.mp4", "bytes": 1, **body})
    assert (answer.status_code, sentence in answer.json()["error"]["message"]) == (status, True), answer.text
    assert str(tmp_path) not in answer.text
    assert objects(folder) == ["old.mp4"]


async def test_room_is_kept_for_what_was_announced_and_there_is_a_limit(api, folder, restart, monkeypatch):
    room = shutil.disk_usage(folder).free
    monkeypatch.setattr(unfinished_uploads, "SPARE_BYTES", room - 2_000_000 - (64 << 20))
    await announced(api, "first.mp4", bytes(60 << 20))
    full = await api.post("/api/uploads", json={"savepath": "second.mp4", "bytes": 60 << 20})
    assert (full.status_code, full.json()["error"]["code"]) == (507, "no_room")
    assert "make room, or send a smaller file" in full.json()["error"]["message"]
    restart(uploads=UploadsSection(max_unfinished=1))
    busy = await api.post("/api/uploads", json={"savepath": "third.mp4", "bytes": 1})
    assert (busy.status_code, busy.json()["error"]["code"]) == (429, "too_many_uploads")


async def test_a_full_disk_keeps_what_has_arrived(api, folder, monkeypatch):
    upload = await announced(api)
    monkeypatch.setattr(unfinished_uploads, "write_all", full_after(500_000))
    answer = await send(api, upload, TALK, 0)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "no_room")
    monkeypatch.undo()
    stored = await offset(api, upload)
    assert 0 < stored <= 500_000
    await send(api, upload, TALK[stored:], stored)
    await done(api, upload)
    assert (folder / "talks/a.mp4").read_bytes() == TALK


def full_after(limit: int) -> Callable[..., None]:
    def write(descriptor: int, content: bytes, position: int, full: Exception) -> None:
        os.pwrite(descriptor, content[: max(0, limit - position)], position)
        if position + len(content) > limit:
            raise full

    return write


async def test_more_than_was_announced_and_bytes_without_their_headers_are_refused(api, folder):
    upload = await announced(api, content=b"talk")
    assert (await send(api, upload, b"talks", 0)).status_code == 400
    assert await offset(api, upload) == 0
    for headers, status in [
        ({"Content-Type": BYTES}, 400),
        ({"Upload-Offset": "0", "Content-Type": "text/plain"}, 415),
    ]:
        assert (await api.patch(upload["upload"], content=b"talk", headers=headers)).status_code == status
    assert (await api.get(f"/api/uploads/{'0' * 32}")).json()["error"]["code"] == "upload_not_found"


async def test_a_cancelled_upload_and_one_that_is_not_continued_leave_nothing(api, folder, restart):
    upload = await announced(api)
    await send(api, upload, TALK[:1000], 0)
    assert (await api.delete(upload["upload"])).status_code == 204
    assert (await api.delete(upload["upload"])).status_code == 404
    assert left_over(folder) == []
    await announced(api)
    for path in (folder / FOLDER).iterdir():
        os.utime(path, (0, 0))
    cleaning = asyncio.create_task(restart().keep_clean())
    while left_over(folder):
        await asyncio.sleep(0.01)
    cleaning.cancel()
    assert objects(folder) == []


async def test_uploading_needs_the_scope_submit_and_a_page_of_ours(serving, folder):
    tokens = Tokens((Token("reader", "r", Scope.READ), Token("writer", "w", Scope.SUBMIT)))
    async with httpx.AsyncClient(base_url=serving(tokens)) as client:
        body = {"savepath": "a.mp4", "bytes": 4}
        reader, writer = ({"Authorization": f"Bearer {secret}"} for secret in ("reader", "writer"))
        assert (await client.post("/api/uploads", json=body, headers=reader)).status_code == 403
        made = await client.post("/api/uploads", json=body, headers=writer)
        where = made.json()["upload"]
        assert (await client.get(where, headers=reader)).status_code == 403
        assert (await client.get(where, headers=writer)).status_code == 200
        await client.post("/sign-in", data={"token": "writer"}, headers={"Sec-Fetch-Site": "same-origin"})
        foreign = {"Upload-Offset": "0", "Content-Type": BYTES, "Sec-Fetch-Site": "cross-site"}
        assert (await client.patch(where, content=b"talk", headers=foreign)).status_code == 403
        ours = {**foreign, "Sec-Fetch-Site": "same-origin"}
        assert (await client.patch(where, content=b"talk", headers=ours)).status_code == 204


async def test_memory_stays_flat_and_other_requests_are_answered_while_much_arrives(api, folder):
    block = bytes(1 << 20)
    upload = (await api.post("/api/uploads", json={"savepath": "a.mp4", "bytes": 200 << 20})).json()
    process, waits, grown = psutil.Process(), [], 0
    before = process.memory_info().rss

    async def body() -> AsyncIterator[bytes]:
        nonlocal grown
        for number in range(200):
            grown = max(grown, process.memory_info().rss - before)
            if number % 20 == 10:
                begun = time.monotonic()
                await api.get(upload["upload"])
                waits.append(time.monotonic() - begun)
            yield block

    headers = {"Upload-Offset": "0", "Content-Type": BYTES, "Content-Length": str(200 << 20)}
    answer = await api.patch(upload["upload"], content=body(), headers=headers)
    assert answer.headers["Upload-Offset"] == str(200 << 20)
    assert grown < 40 << 20, f"{grown >> 20} MiB more"
    assert max(waits) < 5


async def test_a_bucket_that_was_renamed_ends_nothing_and_its_unfinished_uploads_expire(api, folder, restart):
    upload = await announced(api, "a.mp4", b"talk")
    record = folder / FOLDER / f"{upload['upload'][-32:]}.json"
    record.write_text(record.read_text().replace('"videos"', '"renamed"'))
    cleaning = asyncio.create_task(restart().keep_clean())
    await announced(api, "b.mp4")
    assert (await api.get(upload["upload"])).json()["error"]["code"] == "upload_not_found"
    assert not cleaning.done()
    cleaning.cancel()
    for path in (folder / FOLDER).glob(f"{record.stem}.*"):
        os.utime(path, (0, 0))
    cleaning = asyncio.create_task(restart().keep_clean())
    while record.exists() or record.with_suffix(".part").exists():
        assert not cleaning.done()
        await asyncio.sleep(0.01)
    cleaning.cancel()
    assert left_over(folder) == [".json", ".part"]


async def test_what_cannot_be_noted_as_finished_is_submitted_once(api, folder, restart, sql):
    upload = await announced(api, "a.mp4", b"talk", overwrite=True)
    await send(api, upload, b"talk", 0)
    (folder / FOLDER / f"{upload['upload'][-32:]}.new").symlink_to("nowhere/record")  # as on a full disk
    assert (await done(api, upload)).json()["outcome"] == "new"
    assert (folder / "a.mp4").read_bytes() == b"talk"
    assert left_over(folder) == []
    assert (await done(api, upload)).json()["error"]["code"] == "upload_not_found"
    assert len(await sql("select id from jobs")) == 1


async def test_a_refused_body_without_a_length_is_not_read_to_its_end(api, folder):
    upload = await announced(api, content=bytes(1 << 30))
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1 << 30:
            sent += 1 << 20
            yield bytes(1 << 20)

    with suppress(httpx.TransportError):  # or it reads the refusal
        await api.patch(upload["upload"], content=endless(), headers={"Upload-Offset": "7", "Content-Type": BYTES})
    assert sent < 1 << 29
    assert await offset(api, upload) == 0
