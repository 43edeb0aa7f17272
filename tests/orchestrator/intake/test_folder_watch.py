"""orchestrator watch: files of a real folder, as they are written, moved and replaced."""

import asyncio
import os
import shutil
import signal
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from orchestrator.intake import folder_watch
from orchestrator.intake.bucket import Objects
from orchestrator.intake.event_intake import EventIntake, RecordingFilter
from orchestrator.intake.folder_watch import FolderWatch
from orchestrator.intake.submission import Submissions
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.loading import Settings
from tests.extractor_api.minio_drive import Version, write_object
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.watched import watched_bucket
from tests.waiting import eventually

SETTLE_SECONDS = 0.5
LOOK_SECONDS = 0.1
MANY_LOOKS_SECONDS = SETTLE_SECONDS + 5 * LOOK_SECONDS
"""In which a file that is taken for settled is taken."""


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(folder_watch, "LOOK_SECONDS", LOOK_SECONDS)


@pytest.fixture
async def bucket(tmp_path):
    async with watched_bucket(tmp_path / "minio") as bucket:
        yield bucket


@pytest.fixture
def folder(bucket):
    return bucket.data_path / "videos"


@pytest.fixture
def watching(pool, queue, bucket):
    @asynccontextmanager
    async def run():
        objects, stopping = Objects(bucket.url, Tokens(), BUCKET), asyncio.Event()
        intake = EventIntake(pool, Submissions(pool, queue, objects), RecordingFilter(Settings()), objects)
        watch = FolderWatch(bucket.data_path, intake, SETTLE_SECONDS)
        task = asyncio.create_task(watch.run(stopping))
        await asyncio.sleep(0.3)
        yield watch
        stopping.set()
        await asyncio.wait_for(task, 60)

    return run


@pytest.fixture
def submitted(sql):
    """Wait until so many savepaths are there; their names."""

    async def wait(count: int = 1) -> list[str]:
        async def savepaths() -> list[str] | None:
            found = [row[0] for row in await sql("select savepath from media order by savepath")]
            return found if len(found) >= count else None

        return await eventually(savepaths)

    return wait


async def test_what_is_there_is_taken_at_the_start(watching, bucket, submitted):
    longest, distant = f"{'a' * 251}.mp4", "year/11476.mp4"
    bucket.put("talks/a.mp4"), bucket.put("notes.txt"), bucket.put(".hidden/b.mp4"), bucket.put(longest)
    os.utime(bucket.put(distant), (0, 3e11))  # after the last year that Python knows
    async with watching():
        assert await submitted(3) == [longest, "talks/a.mp4", distant]


async def test_files_that_a_download_is_still_working_on_are_not_taken(watching, bucket, submitted):
    for name in ("talk.f137.mp4", "talk.f140-drc.m4a", "talk.temp.mp4", "talk.mp4.part", ".talk.mp4.Xy12Zw"):
        bucket.put(name)
    bucket.put("race.f1.mp4"), bucket.put("talk.final.mp4")
    async with watching():
        assert await submitted(2) == ["race.f1.mp4", "talk.final.mp4"]


@pytest.mark.parametrize("age", [0, 3600])
async def test_files_wait_until_the_notes_of_their_downloads_are_gone(age, watching, bucket, submitted, sql):
    endings = (".aria2", ".ytdl", ".part", ".st")
    names = [f"a{ending}.mp4" for ending in endings]
    notes = [bucket.put(f"{name}{ending}", age=age) for name, ending in zip(names, endings, strict=True)]
    for name in names:
        bucket.put(name, age=age)
    async with watching():
        await asyncio.sleep(MANY_LOOKS_SECONDS)
        assert await sql("select count(*) from media") == [(0,)]
        for note in notes:
            note.unlink()
        assert await submitted(len(names)) == sorted(names)


async def test_a_file_that_comes_is_taken(watching, bucket, submitted):
    async with watching():
        bucket.put("new folder/a b.mp4", age=0)
        assert await submitted() == ["new folder/a b.mp4"]


async def test_a_name_that_is_not_utf_8_does_not_end_the_watch(
    watching, folder, bucket, submitted, monkeypatch, caplog
):
    waited = []

    async def wait(stopping: asyncio.Event, seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0.05)

    monkeypatch.setattr(folder_watch, "_wait", wait)
    odd = os.fsencode(folder) + b"/caf\xe9"
    os.mkdir(odd)
    async with watching() as watch:
        for number in (1, 2):
            os.close(os.open(odd + b"/%d.txt" % number, os.O_CREAT))
            bucket.put(f"after {number}.mp4", age=0)
            assert len(await submitted(number)) == number
            assert watch.problems() == [folder_watch.LATE]
        await asyncio.sleep(MANY_LOOKS_SECONDS)
        assert watch.problems() == [folder_watch.LATE]
        os.rename(odd, os.fsencode(folder) + b"/coffee")
        await eventually(lambda: watch.problems() == [])
    assert "not UTF-8, so it is no object" in caplog.text
    assert waited[:3] == [LOOK_SECONDS, 2 * LOOK_SECONDS, 4 * LOOK_SECONDS]


async def test_a_file_is_taken_only_once_it_is_complete(watching, folder, submitted, sql):
    async with watching():
        with (folder / "a.mp4").open("w") as growing:
            for _ in range(10):
                growing.write("more")
                growing.flush()
                await asyncio.sleep(LOOK_SECONDS)
                assert await sql("select count(*) from media") == [(0,)]
        assert await submitted() == ["a.mp4"]


async def test_a_file_that_is_gone_before_it_is_settled_is_not_taken(watching, folder, sql):
    async with watching():
        (folder / "a.mp4").write_text("x")
        await asyncio.sleep(0.2)
        (folder / "a.mp4").unlink()
        await asyncio.sleep(MANY_LOOKS_SECONDS)
        assert await sql("select count(*) from media") == [(0,)]


async def test_a_folder_that_is_moved_in_is_looked_through(watching, folder, tmp_path, submitted):
    (tmp_path / "album/one").mkdir(parents=True)
    (tmp_path / "album/one/a.mp4").write_text("x")
    async with watching():
        shutil.move(tmp_path / "album", folder / "album")
        assert await submitted() == ["album/one/a.mp4"]


async def test_an_object_in_minios_own_layout_is_its_folder(watching, folder, tmp_path, submitted):
    """MinIO makes it elsewhere, then moves it."""
    write_object(folder, "there/before.mp4", [Version(parts=[b"x" * 1000])])
    write_object(tmp_path, "talks/a.mp4", [Version(parts=[b"x" * 1000])])
    async with watching():
        shutil.move(tmp_path / "talks", folder / "talks")
        assert await submitted(2) == ["talks/a.mp4", "there/before.mp4"]


async def test_a_replaced_file_makes_a_new_version(watching, bucket, store_transcript, sql):
    bucket.put("a.mp4")
    await store_transcript("a.mp4", "hello")
    async with watching():
        await asyncio.sleep(0.5)
        bucket.put("a.mp4", "twice as long", age=0)
        await eventually(lambda: sql("select 1 from transcriptions having count(*) = 2"))


async def test_a_file_replaced_by_an_older_one_makes_a_new_version(watching, bucket, store_transcript, sql):
    """As ``rsync -t`` and ``cp -p`` do."""
    there = bucket.put("a.mp4", "x" * 1000).stat()
    await store_transcript("a.mp4", "hello", modified=datetime.fromtimestamp(there.st_mtime, UTC))
    async with watching():
        await asyncio.sleep(0.5)
        older = bucket.put(".a.mp4.Xy12Zw", "y" * 1000, age=7200)
        older.rename(older.with_name("a.mp4"))
        await eventually(lambda: sql("select 1 from transcriptions having count(*) = 2"))


@pytest.mark.parametrize("known", [False, True])
async def test_a_start_does_not_repeat_what_is_done(known, watching, bucket, store_transcript, sql):
    there = bucket.put("a.mp4", "x" * 1000).stat()
    await store_transcript("a.mp4", "hello", modified=datetime.fromtimestamp(there.st_mtime, UTC) if known else None)
    async with watching():
        await asyncio.sleep(MANY_LOOKS_SECONDS)
    assert await sql("select count(*) from transcriptions") == [(1,)]


async def test_a_folder_that_is_another_one_now_is_watched_and_looked_through(
    watching, bucket, folder, submitted, caplog
):
    """As when its disk is unmounted and mounted again."""
    caplog.set_level("INFO")
    async with watching() as watch:
        assert watch.problems() == []
        folder.rename(folder.with_name("away"))
        while not watch.problems():
            await asyncio.sleep(0.02)
        assert watch.problems() == ["the folder of bucket videos is not there; is its disk mounted?"]
        bucket.put("fresh.mp4")
        assert (await submitted(), watch.problems()) == (["fresh.mp4"], [])
        folder.rename(folder.with_name("away-too"))
        bucket.put("at-once.mp4")
        assert await submitted(2) == ["at-once.mp4", "fresh.mp4"]
        bucket.put("later.mp4", age=0)
        assert "later.mp4" in await submitted(3)
    lines = [record.getMessage() for record in caplog.records if "folder of bucket" in record.getMessage()]
    assert [line.split("; ")[0] for line in lines] == [
        "watch: the folder of bucket videos is not there",
        "watch: the folder of bucket videos is there again",
        "watch: the folder of bucket videos is another one now",
    ]


async def test_the_command_watches_until_it_is_stopped(orchestrator, bucket, submitted):
    with orchestrator.config.open("a") as config:
        config.write(f"\n[paths]\nminio_data_path = {bucket.data_path}\n[events]\nsettle_seconds = 0.5\n")
    command = await orchestrator.start("watch")
    await command.says("watch: looking at videos")
    bucket.put("a.mp4", age=0)
    assert await submitted() == ["a.mp4"]
    ended = await command.ends(signal.SIGTERM)
    assert (ended.code, "watch: stopped" in ended.err) == (0, True)


async def test_a_missing_folder_is_named(orchestrator, tmp_path):
    with orchestrator.config.open("a") as config:
        config.write(f"\n[paths]\nminio_data_path = {tmp_path}/nothing\n")
    outcome = await orchestrator.run("watch")
    assert (outcome.code, "there is no folder" in outcome.err) == (2, True)


async def test_a_bug_is_logged_and_the_file_taken_later(watching, bucket, submitted, intake_with_a_bug, caplog):
    bucket.put("a.mp4")
    async with watching():
        assert await submitted() == ["a.mp4"]
    assert "a bug" in caplog.text
