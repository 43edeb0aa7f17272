"""What events, listings and watched folders bring up becomes a job where it should, and only there."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.intake.bucket import Objects
from orchestrator.intake.event_intake import EventIntake, RecordingFilter
from orchestrator.intake.submission import Submissions
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import Options
from orchestrator.jobs.object_changes import Identity, NewestJob
from reelscribe.contracts.events import Failed
from reelscribe.errors import PeerUnreachable
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.extractor import PathsSection
from reelscribe.settings.loading import Settings
from reelscribe.settings.orchestrator import EventsSection, ResultsSection
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.scripted import LONG, finished, started, window
from tests.orchestrator.watched import watched_bucket
from tests.waiting import eventually

LATER = datetime.now(UTC) + timedelta(minutes=55)
EARLIER = LATER - timedelta(hours=2)


@pytest.fixture
def objects():
    return Objects("http://127.0.0.1:9", Tokens(), BUCKET)


@pytest.fixture
def intake(pool, queue, objects):
    return EventIntake(pool, Submissions(pool, queue, objects), RecordingFilter(Settings()), objects)


def selection(**sections) -> RecordingFilter:
    return RecordingFilter(Settings(**sections))


@pytest.mark.parametrize("savepath", ["a.mp4", "talks/Ü b.MKV", "talk.mp3"])
def test_recordings_are_taken(savepath):
    assert selection().takes(BUCKET, savepath)


@pytest.mark.parametrize(
    "savepath", ["a.jpg", "a.mp4.part", "mp4", "../a.mp4", "a\0.mp4", "/a.mp4", ".minio.sys/a.mp4"]
)
def test_other_objects_are_not_taken(savepath):
    assert not selection().takes(BUCKET, savepath)


@pytest.mark.parametrize(
    "suffix",
    [
        *("mp4", "m4v", "mov", "mkv", "webm", "avi", "wmv", "flv", "mpg", "mpeg", "ts", "mts", "m2ts", "vob", "mxf"),
        *("3gp", "ogv", "mp3", "m4a", "m4b", "mka", "aac", "wav", "flac", "ogg", "oga", "opus", "wma", "amr", "aiff"),
        *("aif", "caf"),
    ],
)
def test_without_a_setting_the_usual_containers_are_recordings(suffix):
    assert selection().takes(BUCKET, f"talks/a.{suffix}") and selection().takes(BUCKET, f"A.{suffix.upper()}")


async def test_an_object_next_to_the_notes_of_its_download_waits(intake, sql):
    reported = {"a.mp4": None, "a.mp4.aria2": None, "b.mp4": None, "c.mp4": None, "c.mp4.ytdl": None}
    assert await intake.take(BUCKET, reported) == Counter(new=1, ignored=4)
    assert (await intake.take(BUCKET, {"a.mp4": None}))["new"] == 1
    assert await sql("select savepath from media order by savepath") == [("a.mp4",), ("b.mp4",)]


def test_other_buckets_are_not_taken():
    assert not selection().takes("secrets", "a.mp4")
    assert selection(paths=PathsSection(buckets=("calls",))).takes("calls", "a.mp4")


def test_prefixes_narrow():
    only = selection(events=EventsSection(prefixes=("youtube/", "talks/")))
    assert only.takes(BUCKET, "talks/a.mp4") and not only.takes(BUCKET, "music/a.mp4")


def test_results_are_not_taken_whatever_the_suffixes_say():
    greedy = EventsSection(suffixes=(".mp4", ".json", ".srt"))
    own = selection(events=greedy, results=ResultsSection(bucket=BUCKET, prefix="out/"))
    assert not own.takes(BUCKET, "out/a.mp4.json") and not own.takes(BUCKET, "out/a.mp4.srt")
    assert own.takes(BUCKET, "a.json"), "another tool's"


async def test_a_new_object_becomes_a_job_once(intake, sql):
    assert await intake.take(BUCKET, {"a.mp4": None, "b.txt": None}) == Counter(new=1, ignored=1)
    assert (await intake.take(BUCKET, {"a.mp4": None}))["known"] == 1
    assert await sql("select savepath from media") == [("a.mp4",)]


async def test_a_replaced_object_becomes_a_new_version(intake, store_transcript, pool):
    job = await store_transcript("a.mp4", "hello")
    same = Identity("etag-1", 1000, None)
    assert (await intake.take(BUCKET, {"a.mp4": same}))["known"] == 1
    assert (await intake.take(BUCKET, {"a.mp4": Identity("etag-2", 2000, LATER)}))["changed"] == 1
    async with pool.connection() as connection:
        [current] = await job_queries.current_jobs(connection, BUCKET, ["a.mp4"])
    assert current.id != job.id


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_a_job_that_was_given_up_is_not_taken_up_by_itself(state, intake, submit, submissions, sql):
    job = await submit("a.mp4")
    await submissions.cancel([job.id])
    await sql("update transcriptions set state = %s, error_code = 'x', error_message = 'y'", state)
    for modified in (EARLIER, LATER + timedelta(days=200)):
        assert (await intake.take(BUCKET, {"a.mp4": Identity("etag-1", 1, modified)}))["known"] == 1
    assert (await intake.take(BUCKET, {"a.mp4": Identity("etag-1", 1, LATER)}))["again"] == 1


@pytest.mark.parametrize("state", ["done", "failed"])
def test_of_what_is_done_a_time_to_come_may_be_that_of_another_object(state):
    now = datetime.now(UTC)
    job = NewestJob("a.mp4", state, {}, now, now)
    assert job.may_be_outdated(Identity(None, 5, now + timedelta(days=400))) is (state == "done")
    assert job.may_be_outdated(Identity(None, 5, now + timedelta(minutes=5)))
    assert not job.may_be_outdated(Identity(None, 5, now - timedelta(minutes=5)))


async def test_a_new_version_keeps_the_options_of_the_old_one(intake, store_transcript, submit, sql, pool):
    await store_transcript("a.mp4", "hello")
    await sql('update transcriptions set options = \'{"language": "de"}\'')
    await intake.take(BUCKET, {"a.mp4": Identity("etag-2", 2000, LATER)})
    async with pool.connection() as connection:
        [current] = await job_queries.current_jobs(connection, BUCKET, ["a.mp4"])
    assert (current.state, current.options) == ("queued", {"language": "de"})


async def test_what_is_new_is_submitted_though_the_extractor_is_away(intake, store_transcript, sql):
    await store_transcript("old.mp4", "hello")
    with pytest.raises(PeerUnreachable):
        await intake.take(BUCKET, {"new.mp4": None, "old.mp4": None})
    assert await sql("select count(*) from media where savepath = 'new.mp4'") == [(1,)]


async def test_the_extractor_is_asked_what_an_object_is_now(pool, queue, submit, sql, submissions, tmp_path):
    async with watched_bucket(tmp_path / "minio") as bucket:
        objects = Objects(bucket.url, Tokens(), BUCKET)
        intake = EventIntake(pool, Submissions(pool, queue, objects), RecordingFilter(Settings()), objects)
        bucket.put("a.mp4")
        job = await submit("a.mp4")
        await submissions.cancel([job.id])
        assert (await intake.take(BUCKET, {"a.mp4": None}))["known"] == 1
        bucket.put("a.mp4", age=-60)
        assert (await intake.take(BUCKET, {"a.mp4": None}))["again"] == 1


@pytest.mark.parametrize("reported", ["by an event", "by watch", "by a person"])
async def test_an_object_that_is_replaced_while_it_is_transcribed_is_transcribed_again(
    reported, pool, queue, sql, working, transcriber, tmp_path
):
    before, replaced = "", asyncio.Event()

    async def transcribes_what_was_there_before(b):
        await b.tell(started(LONG, before), *window(0))
        await replaced.wait()
        await b.tell(*window(1), *window(2), finished(LONG, segments=6).model_copy(update={"etag": before}))

    transcriber.scripts = [transcribes_what_was_there_before]
    async with watched_bucket(tmp_path / "minio") as bucket, working(progress_timeout=60):
        objects = Objects(bucket.url, Tokens(), BUCKET)
        submissions = Submissions(pool, queue, objects)
        intake = EventIntake(pool, submissions, RecordingFilter(Settings()), objects)

        async def there() -> Identity:
            return (await objects.identities(BUCKET, ["a.mp4"]))["a.mp4"]

        async def take() -> Counter[str]:
            if reported == "by a person":
                return Counter(one.outcome for one in await submissions.submit(BUCKET, ["a.mp4"], Options()))
            now = await there()
            seen = Identity(None, now.size, now.last_modified) if reported == "by watch" else None
            return await intake.take(BUCKET, {"a.mp4": seen})

        bucket.put("a.mp4", "once")
        before = (await there()).etag
        assert (await take())["new"] == 1
        while not await sql("select 1 from segments"):
            await asyncio.sleep(0.02)
        assert (await take())["known"] == 1
        bucket.put("a.mp4", "twice, and longer", age=0)
        assert (await take())["changed"] == 1
        replaced.set()
    assert await sql("select state, superseded from transcriptions where id = 1") == [("cancelled", True)]


async def test_watch_asks_again_about_what_was_replaced_while_it_was_transcribed(
    pool, queue, store_transcript, sql, tmp_path
):
    async with watched_bucket(tmp_path / "minio") as bucket:
        objects = Objects(bucket.url, Tokens(), BUCKET)
        intake = EventIntake(pool, Submissions(pool, queue, objects), RecordingFilter(Settings()), objects)
        await store_transcript("a.mp4", "hello")
        await sql("update transcriptions set started_at = started_at - interval '1 hour'")
        bucket.put("a.mp4", age=60)
        now = (await objects.identities(BUCKET, ["a.mp4"]))["a.mp4"]
        assert (await intake.take(BUCKET, {"a.mp4": Identity(None, now.size, now.last_modified)}))["changed"] == 1


@pytest.mark.parametrize("reported", ["by a listing", "by watch"])
async def test_a_file_that_failed_and_is_replaced_by_an_older_one_is_taken_up_again_once(
    reported, pool, queue, submit, job_in, working, transcriber, tmp_path
):
    async with watched_bucket(tmp_path / "minio") as bucket, working():
        objects = Objects(bucket.url, Tokens(), BUCKET)
        intake = EventIntake(pool, Submissions(pool, queue, objects), RecordingFilter(Settings()), objects)

        async def take() -> Counter[str]:
            now = (await objects.identities(BUCKET, ["a.mp4"]))["a.mp4"]
            seen = now if reported == "by a listing" else Identity(None, now.size, now.last_modified)
            return +await intake.take(BUCKET, {"a.mp4": seen})

        async def fails_as_it_is(b) -> None:
            now = (await objects.identities(BUCKET, ["a.mp4"]))["a.mp4"]
            await b.tell(started(LONG, now.etag or ""), Failed(code="cut", message="cut", retryable=False))

        transcriber.scripts = [fails_as_it_is]
        bucket.put("a.mp4", "cut off")
        job = await submit("a.mp4")
        await job_in(job.id, "failed")
        assert await take() == Counter(known=1)
        older = bucket.put("complete.mp4", "complete, and longer", age=7200)
        older.rename(older.with_name("a.mp4"))
        assert await take() == Counter(again=1)
        await eventually(lambda: len(transcriber.requests) == 2)
        await job_in(job.id, "failed")
        assert await take() == Counter(known=1)
