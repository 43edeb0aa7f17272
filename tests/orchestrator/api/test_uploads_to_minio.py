"""Recordings that are uploaded into MinIO: through the orchestrator, or straight, by a presigned link."""

import httpx
import pytest
from minio import Minio

from reelscribe.settings.orchestrator import UploadsSection
from tests.orchestrator.api.uploading import TALK, announced, done, send
from tests.s3_server import emptied, minio


@pytest.fixture
def s3(s3_port: int) -> Minio:
    return emptied(s3_port, "videos")


def read(s3: Minio, savepath: str) -> bytes:
    return bytes(s3.get_object(bucket_name="videos", object_name=savepath).read())


async def test_the_orchestrator_takes_a_recording_for_minio_and_keeps_only_the_object(
    api, s3, s3_port, restart, tmp_path
):
    restart(minio=minio(tmp_path, s3_port), uploads=UploadsSection(data_dir=tmp_path / "uploads"))
    upload = await announced(api)
    await send(api, upload, TALK, 0)
    assert list(s3.list_objects(bucket_name="videos", recursive=True)) == []
    assert (await done(api, upload)).json()["savepath"] == "talks/a.mp4"
    assert read(s3, "talks/a.mp4") == TALK
    assert [path.suffix for path in (tmp_path / "uploads").iterdir()] == [".json"]
    assert (await api.post("/api/uploads", json={"savepath": "talks/a.mp4", "bytes": 1})).status_code == 409


async def test_a_browser_sends_a_recording_straight_to_minio_and_its_length_is_checked(
    api, s3, s3_port, restart, tmp_path, caplog
):
    section = minio(tmp_path, s3_port, public_endpoint=f"http://localhost:{s3_port}")
    restart(minio=section, uploads=UploadsSection(data_dir=tmp_path / "uploads"))
    caplog.set_level("DEBUG")
    upload = await announced(api)
    link = upload["put"]["url"]
    assert link.startswith(f"http://localhost:{s3_port}/videos/talks/a.mp4?X-Amz-Algorithm=AWS4-HMAC-SHA256")
    missing = await done(api, upload)
    assert (missing.status_code, "is not there in bucket videos" in missing.json()["error"]["message"]) == (409, True)
    assert (await send(api, upload, b"x", 0)).status_code == 400
    async with httpx.AsyncClient() as browser:
        await browser.put(link, content=TALK[:-1], headers=upload["put"]["headers"])
        assert "has 1499999 bytes" in (await done(api, upload)).json()["error"]["message"]
        assert (await browser.put(link, content=TALK, headers=upload["put"]["headers"])).status_code == 412
        again = (await api.get(upload["upload"])).json()["put"]["url"]
        await browser.put(again, content=TALK)
    assert (await done(api, upload)).status_code == 202
    assert read(s3, "talks/a.mp4") == TALK
    assert "X-Amz-Signature" not in "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("http")
    )


async def test_what_minio_reports_before_the_page_does_is_submitted_once_with_its_options(
    api, s3, s3_port, restart, tmp_path, sql
):
    section = minio(tmp_path, s3_port, public_endpoint=f"http://localhost:{s3_port}")
    restart(minio=section, uploads=UploadsSection(data_dir=tmp_path / "uploads"))
    upload = await announced(api, word_timestamps=True)
    async with httpx.AsyncClient() as browser:
        await browser.put(upload["put"]["url"], content=TALK)
    entry = {
        "eventName": "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": "videos"}, "object": {"key": "talks/a.mp4"}},
    }
    hook = await api.post("/hooks/minio", json={"Records": [entry]})
    assert (hook.status_code, hook.json()["new"]) == (200, 1), hook.text
    job = (await done(api, upload)).json()
    assert job["outcome"] == "new"
    assert await sql("select options from transcriptions") == [({"word_timestamps": True},)]
