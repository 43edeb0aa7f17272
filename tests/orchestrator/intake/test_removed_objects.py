"""A recording that is gone from its bucket is shown as such, or forgotten: by events, the watch and the listing."""

import asyncio
import json
import shutil
from datetime import datetime, timedelta

import httpx
import pytest
from prometheus_client import CollectorRegistry

from orchestrator.exports.deletion import Deletions
from orchestrator.intake.bucket import Objects
from orchestrator.intake.bucket_listing import BucketListing
from orchestrator.intake.event_intake import EventIntake, RecordingFilter
from orchestrator.intake.folder_watch import FolderWatch
from orchestrator.intake.submission import Submissions
from orchestrator.jobs import removed_objects
from orchestrator.jobs.models import Options
from reelscribe.errors import PeerUnreachable
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.loading import Settings
from reelscribe.settings.shared import MinioSection
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.watched import watched_bucket
from tests.waiting import eventually


@pytest.fixture
async def bucket(tmp_path):
    async with watched_bucket(tmp_path / "minio") as bucket:
        yield bucket


@pytest.fixture
def intake(pool, queue, bucket):
    def make(delete: bool = False, url: str = bucket.url) -> EventIntake:
        objects = Objects(url, Tokens(), BUCKET)
        forget = Deletions(pool, queue, MinioSection()).delete_removed if delete else None
        return EventIntake(pool, Submissions(pool, queue, objects), RecordingFilter(Settings()), objects, forget)

    return make


@pytest.fixture
async def kept(bucket, store_transcript):
    """Three recordings with transcripts, of which one is then gone."""
    for savepath in ("a.mp4", "b/1.mp4", "b/2.mp4"):
        bucket.put(savepath)
        await store_transcript(savepath, "hello")
    return bucket


@pytest.fixture
def removed(sql):
    async def look():
        return [savepath for (savepath,) in await sql("select savepath from media where removed_at is not null")]

    return look


@pytest.fixture
def known(sql):
    async def look():
        return [savepath for (savepath,) in await sql("select savepath from media order by savepath")]

    return look


@pytest.fixture
def list_once(pool, bucket):
    async def run(intake: EventIntake) -> None:
        listing = BucketListing(pool, intake, Objects(bucket.url, Tokens(), BUCKET), 3600, CollectorRegistry())
        await listing._list(BUCKET)

    return run


async def test_a_listing_finds_what_is_gone_and_what_is_back(kept, intake, list_once, removed, known, commands, caplog):
    caplog.set_level("INFO", "orchestrator.intake.bucket_listing")
    (kept.data_path / "videos" / "b" / "1.mp4").unlink()
    await list_once(intake())
    await list_once(intake())
    assert ["1 removed" in record.getMessage() for record in caplog.records] == [True, False], "it is news once"
    assert (await removed(), len(await known())) == (["b/1.mp4"], 3)
    shown = json.loads((await commands.run("status", "b/1.mp4", "--json")).out)["jobs"][0]
    assert datetime.fromisoformat(shown["object_removed_at"]) > datetime.fromisoformat(shown["finished_at"])
    assert "its recording is gone from the bucket since" in (await commands.run("show", "b/1.mp4")).err
    assert "its recording is gone from the bucket" not in (await commands.run("show", "a.mp4")).err
    kept.put("b/1.mp4")
    await list_once(intake())
    assert await removed() == []


async def test_it_is_forgotten_if_so_set_once_a_second_listing_lacks_it(kept, intake, list_once, removed, known):
    (kept.data_path / "videos" / "b" / "1.mp4").unlink()
    await list_once(intake(delete=True))
    assert await removed() == ["b/1.mp4"]
    await list_once(intake(delete=True))
    assert await known() == ["a.mp4", "b/2.mp4"]


async def test_a_submission_notes_what_is_gone(pool, queue, kept, removed):
    (kept.data_path / "videos" / "a.mp4").unlink()
    submission = Submissions(pool, queue, Objects(kept.url, Tokens(), BUCKET)).begin(BUCKET, Options())
    assert (await submission.take({"a.mp4": None}), await removed()) == ({"a.mp4": "missing"}, ["a.mp4"])


async def test_a_bucket_that_is_suddenly_empty_removes_nothing(pool, queue, kept, intake, list_once, removed, known):
    shutil.rmtree(kept.data_path / "videos")
    (kept.data_path / "videos").mkdir()
    for _ in range(2):
        await list_once(intake(delete=True))
    assert await intake(delete=True).removed.check(BUCKET, ["a.mp4", "b"]) == 0
    submission = Submissions(pool, queue, Objects(kept.url, Tokens(), BUCKET)).begin(BUCKET, Options())
    assert await submission.take({"a.mp4": None}) == {"a.mp4": "missing"}
    assert (await removed(), len(await known())) == ([], 3)


@pytest.mark.parametrize("delete", [False, True])
async def test_the_extractor_is_asked_about_what_is_reported(delete, kept, intake, removed, known, free_port):
    (kept.data_path / "videos" / "b" / "2.mp4").unlink()
    with pytest.raises(PeerUnreachable):
        await intake(delete, f"http://127.0.0.1:{free_port}").removed.check(BUCKET, ["b/2.mp4"])
    assert (await removed(), len(await known())) == ([], 3)
    assert await intake(delete).removed.check(BUCKET, ["a.mp4", "b", "unknown.mp4"]) == 1
    assert await removed() == ([] if delete else ["b/2.mp4"])
    assert ("b/2.mp4" in await known()) is not delete


async def test_an_event_of_minio_is_enough(kept, intake, orchestrator_service, serving, removed):
    orchestrator_service.intake = intake()
    (kept.data_path / "videos" / "a.mp4").unlink()
    record = {
        "eventName": "s3:ObjectRemoved:Delete",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": "a.mp4"}},
    }
    async with httpx.AsyncClient(base_url=serving(Tokens())) as client:
        answer = await client.post("/hooks/minio", json={"Records": [record]})
    assert (answer.json()["removed"], await removed()) == (1, ["a.mp4"])


async def test_the_watch_sees_files_and_folders_go(kept, intake, removed):
    stopping, registry = asyncio.Event(), CollectorRegistry()
    task = asyncio.create_task(FolderWatch(kept.data_path, intake(), 0.5, registry).run(stopping))
    while registry.get_sample_value("reelscribe_watched_objects_total", {"outcome": "known"}) != 3:
        await asyncio.sleep(0.05)
    shutil.move(kept.data_path / "videos" / "b", kept.data_path / "elsewhere")

    async def both() -> bool:
        return len(await removed()) == 2

    await eventually(both)
    stopping.set()
    await asyncio.wait_for(task, 60)
    assert sorted(await removed()) == ["b/1.mp4", "b/2.mp4"]


async def test_what_is_gone_counts_as_there_once_it_is_transcribed_again(kept, sql, store_transcript, removed):
    await sql("update media set removed_at = now() - %s where savepath = 'a.mp4'", timedelta(days=1))
    await store_transcript("a.mp4", "hello", force=True)
    assert await removed() == []


@pytest.mark.parametrize("reported_by", ["event", "listing"])
async def test_a_job_of_an_object_that_is_uploaded_again_meanwhile_is_not_forgotten(
    reported_by, kept, intake, list_once, removed, known, monkeypatch, sql
):
    forgetting = intake(delete=True)
    (kept.data_path / "videos" / "a.mp4").unlink()
    (kept.data_path / "videos" / "b" / "2.mp4").unlink()
    if reported_by == "listing":
        await list_once(forgetting)
    mark = removed_objects.mark

    async def uploaded_again(connection, bucket, savepaths):
        if "a.mp4" in savepaths:
            kept.put("a.mp4", "twice", age=0)
            assert (await intake().take(BUCKET, {"a.mp4": None}))["changed"] == 1
        return await mark(connection, bucket, savepaths)

    monkeypatch.setattr(removed_objects, "mark", uploaded_again)
    if reported_by == "listing":
        await list_once(forgetting)
    else:
        await forgetting.removed.check(BUCKET, ["a.mp4", "b/2.mp4"])
    assert await known() == ["a.mp4", "b/1.mp4"], "what is gone is forgotten nevertheless"
    assert await removed() == []
    of_it = "select id from media where savepath = 'a.mp4'"
    assert await sql(f"select state from jobs where not superseded and media_id = ({of_it})") == [("queued",)]
