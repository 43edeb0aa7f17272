"""The listing that finds what events have missed."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from orchestrator.intake.bucket import Objects
from orchestrator.intake.bucket_listing import BucketListing
from orchestrator.intake.event_intake import EventIntake, RecordingFilter
from orchestrator.intake.submission import Submissions
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.loading import Settings
from reelscribe.settings.orchestrator import EventsSection
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.watched import watched_bucket
from tests.waiting import eventually


@pytest.fixture
async def bucket(tmp_path):
    async with watched_bucket(tmp_path / "minio") as bucket:
        yield bucket


@pytest.fixture
def reconciling(pool, queue, bucket):
    """An orchestrator that lists; yields its metrics."""

    @asynccontextmanager
    async def run(every: float = 3600, url: str = bucket.url, **events):
        objects, registry = Objects(url, Tokens(), BUCKET), CollectorRegistry()
        intake = EventIntake(
            pool, Submissions(pool, queue, objects), RecordingFilter(Settings(events=EventsSection(**events))), objects
        )
        task = asyncio.create_task(BucketListing(pool, intake, objects, every, registry).run())
        yield lambda: generate_latest(registry).decode()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()

    return run


async def shows(metrics, line: str) -> None:
    await eventually(lambda: line in metrics())


async def test_what_is_new_in_the_bucket_becomes_a_job(bucket, reconciling, sql):
    for savepath in ("talks/a.mp4", "talks/b.mkv", "notes.txt"):
        bucket.put(savepath)
    async with reconciling() as metrics:
        await shows(metrics, 'reelscribe_listings_total{outcome="complete"} 1.0')
    assert await sql("select savepath from media order by savepath") == [("talks/a.mp4",), ("talks/b.mkv",)]
    assert 'reelscribe_listed_objects_total{outcome="new"} 2.0' in metrics()
    assert 'reelscribe_listed_objects_total{outcome="ignored"} 1.0' in metrics()


async def test_unfinished_files_are_not_submitted(bucket, reconciling, sql):
    for savepath in ("a.mp4", "b.f137.mp4", "b.temp.mp4", "c.mp4", "c.mp4.aria2", ".rsync-partial/d.mp4", ".e.mp4"):
        bucket.put(savepath)
    async with reconciling() as metrics:
        await shows(metrics, 'reelscribe_listings_total{outcome="complete"} 1.0')
    assert await sql("select savepath from media") == [("a.mp4",)]


async def test_only_the_prefixes_are_listed(bucket, reconciling, sql):
    bucket.put("talks/a.mp4"), bucket.put("music/a.mp4")
    async with reconciling(prefixes=("talks/",)) as metrics:
        await shows(metrics, 'outcome="complete"} 1.0')
    assert await sql("select savepath from media") == [("talks/a.mp4",)]
    assert 'outcome="ignored"} 1.0' not in metrics()


async def test_a_failed_job_is_not_tried_with_every_listing(bucket, reconciling, sql, submit):
    bucket.put("a.mp4")
    await submit("a.mp4")
    await sql("update transcriptions set state = 'failed', error_code = 'x', error_message = 'y', finished_at = now()")
    async with reconciling(every=1) as metrics:
        await shows(metrics, 'reelscribe_listings_total{outcome="complete"} 2.0')
    assert await sql("select state, count(*) from transcriptions group by state") == [("failed", 1)]


async def test_several_orchestrators_list_once(bucket, reconciling):
    async with reconciling() as first, reconciling() as second:
        await shows(lambda: first() + second(), 'outcome="complete"} 1.0')
        await asyncio.sleep(1.5)
        assert (first() + second()).count('reelscribe_listings_total{outcome="complete"} 1.0') == 1


async def test_an_extractor_that_is_away_is_counted_and_tried_again(reconciling, bucket, sql):
    bucket.put("a.mp4")
    async with reconciling(every=0.2, url="http://127.0.0.1:9") as metrics:
        await shows(metrics, 'reelscribe_listings_total{outcome="failed"} 2.0')
    assert await sql("select count(*) from media") == [(0,)]


async def test_a_bug_is_logged_and_the_next_listing_follows(reconciling, bucket, intake_with_a_bug, caplog):
    bucket.put("a.mp4")
    async with reconciling(every=0.2) as metrics:
        await shows(metrics, 'reelscribe_listed_objects_total{outcome="new"} 1.0')
    assert "a bug" in caplog.text


async def test_a_clock_that_was_set_back_puts_off_no_listing(reconciling, bucket, sql):
    await sql("insert into listings values (%s, now() + interval '1 hour')", BUCKET)
    async with reconciling() as metrics:
        await shows(metrics, 'reelscribe_listings_total{outcome="complete"} 1.0')
