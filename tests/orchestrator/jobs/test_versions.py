"""The same object is transcribed once; a changed one makes a new version, and the old one stays until it is pruned."""

import asyncio
import os
import random
from datetime import timedelta

import psycopg
import pytest

from orchestrator.intake.bucket import Objects
from orchestrator.intake.submission import Submissions
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs import versions
from orchestrator.jobs.models import Options
from orchestrator.jobs.object_changes import Identity
from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.scripted import breaks_off_after, transcribes


@pytest.fixture
def objects(extractor) -> Objects:
    return Objects(extractor, Tokens(), BUCKET)


@pytest.fixture
def submissions(pool, queue, objects) -> Submissions:
    return Submissions(pool, queue, objects)


@pytest.fixture
def transcribed(store_transcript, objects, sql):
    """A transcript of an object as it is now."""

    async def transcribe(savepath: str):
        job = await store_transcript(savepath, "some words")
        there = (await objects.identities(BUCKET, [savepath]))[savepath]
        await sql("update attempts set etag = %s, size = %s, last_modified = %s", *there)
        return job

    return transcribe


@pytest.fixture
def outcome(submissions):
    async def submit(savepath: str):
        [(job, outcome)] = await submissions.submit(BUCKET, [savepath], Options())
        return job.id, outcome

    return submit


async def test_an_object_that_is_done_is_not_transcribed_again(transcribed, outcome):
    job = await transcribed("talks/a.mp4")
    assert await outcome("talks/a.mp4") == (job.id, "done")


async def test_a_changed_object_makes_a_new_version_and_the_old_one_is_read_until_it_is_done(
    transcribed, outcome, bucket, pool, store_transcript
):
    old = await transcribed("talks/a.mp4")
    (bucket / "talks/a.mp4").write_text("another recording")
    new, what = await outcome("talks/a.mp4")
    assert (what, new != old.id) == ("changed", True)
    assert await outcome("talks/a.mp4") == (new, "known")
    async with pool.connection() as connection:
        assert (await job_queries.newest_finished(connection, BUCKET, "talks/a.mp4")).id == old.id
        await store_transcript("talks/a.mp4", "other words")
        assert (await job_queries.newest_finished(connection, BUCKET, "talks/a.mp4")).id == new


async def test_an_object_replaced_while_it_is_transcribed_is_transcribed_again(pool, queue, objects, submit, sql):
    running = await submit("talks/a.mp4")
    await sql("update transcriptions set state = 'running', attempt = 1")
    await sql(
        "insert into attempts (transcription_id, attempt, transcriber_url, start_seconds, etag) "
        f"values ({running.id}, 1, '', 0, 'before')"
    )
    submission = Submissions(pool, queue, objects).begin(BUCKET, Options())
    assert await submission.take({"talks/a.mp4": Identity("before")}) == {"talks/a.mp4": "known"}
    assert await submission.take({"talks/a.mp4": Identity("after")}) == {"talks/a.mp4": "changed"}
    assert await sql(f"select state, superseded from transcriptions where id = {running.id}") == [("cancelled", True)]
    assert await submission.take({"talks/a.mp4": Identity("after")}) == {"talks/a.mp4": "known"}


async def test_the_extractor_is_asked_about_one_that_is_being_transcribed(submit, sql, outcome, bucket):
    running = await submit("talks/a.mp4")
    await sql("update transcriptions set state = 'running', attempt = 1")
    await sql(
        "insert into attempts (transcription_id, attempt, transcriber_url, start_seconds, etag) "
        f"values ({running.id}, 1, '', 0, 'before')"
    )
    (bucket / "talks/a.mp4").rename(bucket / "talks/b.mp4")
    assert await outcome("talks/a.mp4") == (running.id, "known")
    (bucket / "talks/b.mp4").rename(bucket / "talks/a.mp4")
    assert (await outcome("talks/a.mp4"))[1] == "changed"


async def test_an_object_that_only_moved_is_the_same(transcribed, outcome, bucket):
    job = await transcribed("talks/a.mp4")
    times = (bucket / "talks/a.mp4").stat()
    (bucket / "talks/copy").write_text("talks/a.mp4")
    (bucket / "talks/copy").rename(bucket / "talks/a.mp4")
    os.utime(bucket / "talks/a.mp4", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert await outcome("talks/a.mp4") == (job.id, "done")


async def test_the_transcript_of_an_object_that_is_gone_stays(transcribed, outcome, bucket):
    job = await transcribed("talks/a.mp4")
    (bucket / "talks/a.mp4").unlink()
    assert await outcome("talks/a.mp4") == (job.id, "missing")


async def test_without_the_extractor_what_is_done_counts_as_unchanged(transcribed, pool, queue, bucket, free_port):
    await transcribed("talks/a.mp4")
    (bucket / "talks/a.mp4").write_text("another recording")
    away = Objects(f"http://127.0.0.1:{free_port}", Tokens(), BUCKET)
    submission = Submissions(pool, queue, away).begin(BUCKET, Options())
    assert await submission.take({"new.mp4": None}) == {"new.mp4": "new"}
    assert submission.unavailable_reason is None  # what is not done needs no question
    assert await submission.take({"talks/a.mp4": None}) == {"talks/a.mp4": "done"}
    assert "does not answer" in submission.unavailable_reason.message  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        (Identity("a", 1), Identity("a", 1), False),
        (Identity("a"), Identity("b"), True),
        (Identity("a"), Identity(None), False),
        (Identity("a", 1), Identity("b", 2), True),
    ],
)
def test_an_identity_differs_by_its_etag(one, other, differs):
    assert one.differs_from(other) is differs


async def test_identities_of_any_savepaths_are_those_of_the_listing(objects, bucket):
    choose = random.Random(5)
    names = [f"many/{'/'.join(choose.choices('abö~', k=3))}{number}" for number in range(300)]
    for name in names:
        (bucket / name).parent.mkdir(parents=True, exist_ok=True)
        (bucket / name).write_text(name)
    everything = {found.savepath: found.etag async for page in objects.pages(BUCKET) for found in page}
    assert len(everything) == 303
    for wanted in ([], ["talks/a.mp4"], ["nothing"], choose.sample(names, 5), [*names, "a", "zzz", "many/a", "\x01"]):
        found = await objects.identities(BUCKET, wanted)
        assert {name: found[name].etag for name in found} == {
            name: everything[name] for name in wanted if name in everything
        }


async def test_parts_of_two_objects_are_not_joined(submit, working, job_in, transcriber, sql, caplog):
    transcriber.scripts = [breaks_off_after(2), transcribes(etag="etag-2")]
    async with working():
        await job_in((await submit()).id, "done")
    assert [request.get("start", 0) for request in transcriber.requests] == [0, 20.0, 0]
    assert await sql("select etag, start_seconds from attempts") == [("etag-2", 0)]
    assert await sql("select count(*), min(index), max(index) from segments") == [(6, 0, 5)]
    assert (
        "talk.mp4 has changed after 20 s of it were transcribed; it is transcribed again from the start" in caplog.text
    )


async def test_an_object_that_changed_before_anything_was_stored_costs_no_attempt(submit, working, job_in, transcriber):
    transcriber.scripts = [breaks_off_after(0), transcribes(etag="etag-2")]
    async with working():
        await job_in((await submit()).id, "done")
    assert len(transcriber.requests) == 2


async def pruned(pool, days: float = 0) -> list[int]:
    async with pool.connection() as connection:
        return await versions.prune(connection, timedelta(days=days), after=0, limit=100)


async def test_prune_removes_what_a_finished_version_has_replaced(store_transcript, pool, sql):
    old = await store_transcript("talk.mp4", "old words")
    await store_transcript("talk.mp4", "new words", force=True)
    assert await pruned(pool, days=30) == []
    assert await pruned(pool) == [old.id]
    assert await sql("select text from segments") == [("new words",)]
    assert await sql("select count(*) from attempts") == [(1,)]


async def test_prune_keeps_the_old_version_until_the_new_one_is_done(store_transcript, submit, pool):
    await store_transcript("talk.mp4", "old words")
    await submit("talk.mp4", force=True)
    assert await pruned(pool) == []


@pytest.mark.parametrize(
    ("before", "meanwhile", "after"),
    [
        ("cancelled", "state = 'queued', finished_at = null", "cancelled"),
        ("running", "state = 'done', complete = true, finished_at = now()", "done"),
        ("running", "state = 'queued'", "cancelled"),
    ],
)
async def test_a_job_whose_state_changes_in_this_moment_can_be_replaced(
    before, meanwhile, after, submit, submissions, pool, sql, database_url
):
    job = await submit("talk.mp4")
    await sql(
        "update transcriptions set state = %s, finished_at = case when %s = 'cancelled' then now() end", before, before
    )
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute(f"update transcriptions set {meanwhile}")
        replacing = asyncio.create_task(submit("talk.mp4", force=True))
        await asyncio.sleep(0.5)
        assert not replacing.done(), "it waits for the other transaction"
        await other.commit()
        new = await replacing
    assert await sql("select id, state, superseded from transcriptions order by id") == [
        (job.id, after, True),
        (new.id, "queued", False),
    ]
    if after == "cancelled":
        assert await sql("select (args->>'job')::bigint from procrastinate_jobs") == [(new.id,)]


async def test_force_makes_one_new_version_of_a_savepath_that_comes_twice(store_transcript, submissions, sql):
    await store_transcript("talk.mp4", "old words")
    submission = submissions.begin(BUCKET, Options(), force=True)
    assert await submission.take({"talk.mp4": None}) == {"talk.mp4": "new"}
    assert await submission.take({"talk.mp4": None}) == {"talk.mp4": "known"}
    assert await sql("select count(*) from transcriptions") == [(2,)]
