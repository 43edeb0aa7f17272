"""Results in a bucket of a real S3 server, which may be away."""

import asyncio
import json
import signal
from contextlib import asynccontextmanager

import pytest
from minio import Minio

from orchestrator.exports import pending_results as pending
from orchestrator.exports import results
from orchestrator.exports.pending_results import STORE_RESULT, pending_results
from orchestrator.exports.result_bucket import ResultBucket
from orchestrator.exports.results import ResultStore
from orchestrator.intake import corrections
from orchestrator.intake.corrections import Corrections, EditRequest, WrittenSegment
from orchestrator.jobs import queries, stats, transitions
from orchestrator.queue.procrastinate import Queue
from orchestrator.worker.kinds import Kind
from orchestrator.worker.retry import RetryPolicy
from orchestrator.worker.stalled_jobs import Sweeper
from orchestrator.worker.worker import Worker
from reelscribe.errors import SettingsError
from reelscribe.settings.orchestrator import ResultsSection
from reelscribe.settings.shared import MinioSection
from tests.orchestrator.conftest import BUCKET, MAX_ATTEMPTS
from tests.s3_server import minio
from tests.waiting import eventually


@pytest.fixture
def store(queue, pool, tmp_path, s3_port):
    def make(port: int = s3_port, queue: Queue = queue, **section) -> ResultStore:
        chosen = ResultsSection.model_validate({"bucket": "words", **section})
        return ResultStore(pool, queue, ResultBucket(minio(tmp_path, port), chosen.bucket), chosen, (BUCKET, "more"))

    return make


@pytest.fixture
def storing(pool, store):
    """A worker that stores results, and tries again soon what was refused."""

    @asynccontextmanager
    async def run(**options):
        queue = Queue(pool)
        await queue.open()
        wanted = store(queue=queue, **options)
        await wanted.follow_transcriptions()
        kind = Kind(STORE_RESULT, 1, wanted.work, RetryPolicy(max_failures=None, backoff=lambda failures: 0.1))
        task = asyncio.create_task(Worker(pool, queue, [kind], Sweeper(pool, queue, MAX_ATTEMPTS)).run())
        yield
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()

    return run


@pytest.fixture
def status(pool):
    async def wait(**wanted):
        async def found():
            async with pool.connection() as connection:
                found = await pending_results(connection)
            return found if wanted.items() <= found.model_dump().items() else None

        return await eventually(found)

    return wait


def read(s3: Minio, name: str) -> str:
    response = s3.get_object(bucket_name="words", object_name=name)
    try:
        return response.data.decode()
    finally:
        response.close()
        response.release_conn()


def names(s3: Minio) -> list[str | None]:
    return sorted(found.object_name for found in s3.list_objects(bucket_name="words", recursive=True))


async def test_a_finished_transcript_is_stored_next_to_its_savepath(storing, store, store_transcript, s3, status):
    await store().follow_transcriptions()
    await store_transcript("talks/ä b.mp4", "hello", "world")
    await status(pending=1)
    async with storing(prefix="out/"):
        await status(pending=0)
    assert names(s3) == ["out/talks/ä b.en.srt", "out/talks/ä b.mp4.json"]
    assert json.loads(read(s3, "out/talks/ä b.mp4.json"))["text"] == "hello world"
    assert read(s3, "out/talks/ä b.en.srt").startswith("1\n00:00:00,000 --> 00:00:07,000\nhello world\n")
    kind = s3.stat_object(bucket_name="words", object_name="out/talks/ä b.en.srt").content_type
    assert kind == "application/x-subrip; charset=utf-8"


async def test_an_edited_transcript_is_stored_again(storing, store_transcript, s3, status, pool, queue, monkeypatch):
    monkeypatch.setattr(corrections, "FOLLOW_UP_SECONDS", 0)
    job = await store_transcript("a.mp4", "helo", "world")
    async with storing(formats="txt"):
        await status(pending=0)
        written = (WrittenSegment(text="hello"),)
        request = EditRequest(job=job.id, base_revision=0, start=0.0, end=3.0, segments=written)
        await Corrections(pool, queue, BUCKET).edit(BUCKET, "a.mp4", request, "ann")
        await status(pending=0)
        await eventually(lambda: read(s3, "a.mp4.txt") == "hello\nworld\n")


async def test_what_was_finished_before_the_setting_was_made_is_stored_too(storing, store_transcript, s3, status):
    for number in range(3):
        await store_transcript(f"{number}.mp4", "hello")
    await status(pending=0)
    async with storing(formats="vtt"):
        await status(pending=0)
    assert names(s3) == ["0.en.vtt", "1.en.vtt", "2.en.vtt"]


async def test_names_follow_the_setting_and_no_recording_takes_that_of_another(storing, store_transcript, s3, status):
    for savepath in ("talks/a.mp4", "talks/a.wav", "talks/a.b.mp4"):
        await store_transcript(savepath, f"of {savepath}")
    async with storing(formats="srt", name="{language}/{folder}/{stem}.{format}"):
        await status(pending=0)
    assert names(s3) == ["en/talks/a.b.srt", "en/talks/a.mp4.srt", "en/talks/a.wav.srt"]
    assert "of talks/a.wav" in read(s3, "en/talks/a.wav.srt")


async def test_a_name_is_changed_when_a_later_recording_has_it_too(storing, store_transcript, s3, status):
    async with storing(formats="json, srt, txt"):
        for savepath in ("talks/talk.mp3", "talks/talk.de.mp3", "talks/talk.wav", "talks/talk.m4a"):
            await store_transcript(savepath, f"of {savepath}", language="de" if savepath.endswith("m4a") else "en")
            await status(pending=0)
    assert [name for name in names(s3) if name.endswith(".srt")] == [
        "talks/talk.de.en.srt", "talks/talk.m4a.de.srt", "talks/talk.mp3.en.srt", "talks/talk.wav.en.srt",
    ]  # fmt: skip
    assert "of talks/talk.mp3" in read(s3, "talks/talk.mp3.en.srt")


async def test_no_name_is_shared_by_recordings_that_are_stored_at_the_same_time(
    store, store_transcript, pool, s3, sql, storing, status, monkeypatch
):
    wanted = store(formats="srt")
    await wanted.follow_transcriptions()
    await store_transcript("talk.mp3", "first")
    [(id, queue_job)] = await sql("select id, queue_job from jobs where kind = %s", STORE_RESULT)
    async with pool.connection() as connection:
        attempt = await transitions.begin(connection, queue_job, id)
    put = wanted._bucket.put

    def put_slowly(*arguments):
        asyncio.run_coroutine_threadsafe(store_transcript("talk.wav", "second"), loop).result()
        put(*arguments)

    loop = asyncio.get_running_loop()
    with monkeypatch.context() as patch:
        patch.setattr(wanted._bucket, "put", put_slowly)
        await wanted.work(attempt)
    async with storing(formats="srt"):
        await status(pending=0)
    assert names(s3) == ["talk.mp3.en.srt", "talk.wav.en.srt"]


async def test_it_is_caught_up_with_in_steps(storing, store_transcript, s3, status, monkeypatch):
    monkeypatch.setattr(pending, "MOST_AT_A_TIME", 2)
    for number in range(5):
        await store_transcript(f"{number}.mp4", "hello")
    async with storing(formats="txt"):
        await status(pending=0)
    assert len(names(s3)) == 5


async def test_what_is_stored_is_not_stored_again_after_a_restart(storing, store_transcript, s3, status):
    await store_transcript("a.mp4", "hello")
    async with storing(formats="txt"):
        await status(pending=0)
    s3.remove_object(bucket_name="words", object_name="a.mp4.txt")
    async with storing(formats="txt"):
        await store_transcript("b.mp4", "hello")
        await status(pending=0)
    assert names(s3) == ["b.mp4.txt"]


async def test_a_refused_result_is_reported_and_tried_until_it_is_stored(storing, store_transcript, s3, status):
    await store_transcript("a.mp4", "hello")
    async with storing(bucket="later"):
        failing = await status(failing=1)
        assert "does not take a.mp4.json into bucket later (NoSuchBucket); see [results] bucket" in failing.error
        s3.make_bucket(bucket_name="later")
        await status(pending=0)


async def test_what_waits_is_stored_after_a_restart(storing, store_transcript, s3, status):
    await store_transcript("a.mp4", "hello")
    async with storing(port=9):
        assert "does not answer" in (await status(failing=1)).error
    async with storing():
        await status(pending=0)
    assert names(s3) == ["a.en.srt", "a.mp4.json"]


async def test_a_worker_that_does_not_store_results_leaves_them_alone(
    store, store_transcript, submit, working, job_in, status
):
    await store().follow_transcriptions()
    await store_transcript("a.mp4", "hello")
    async with working():
        await job_in((await submit("b.mp4")).id, "done")
    await status(pending=2)


async def test_results_are_no_jobs_that_people_asked_for(store, store_transcript, pool, status):
    await store().follow_transcriptions()
    job = await store_transcript("a.mp4", "hello")
    await status(pending=1)
    async with pool.connection() as connection:
        assert [one.id for one in await queries.list_jobs(connection)] == [job.id]
        assert [one.kind for one in await queries.list_jobs(connection, kind=STORE_RESULT)] == [STORE_RESULT]
        assert [one.id for one in await queries.current_jobs(connection, "videos", ["a.mp4"])] == [job.id]
        assert await stats.count_by_state(connection) == {"done": 1}


async def test_the_newest_transcript_is_what_stays(storing, store_transcript, s3, status):
    await store_transcript("a.mp4", "old")
    await store_transcript("a.mp4", "new", force=True)
    async with storing():
        await status(pending=0)
    assert json.loads(read(s3, "a.mp4.json"))["text"] == "new"


async def test_what_was_stored_under_another_name_is_removed(storing, store_transcript, s3, status):
    await store_transcript("a.mp4", "old")
    async with storing(formats="srt, txt"):
        await status(pending=0)
        await store_transcript("a.mp4", "neu", language="de", force=True)
        await status(pending=0)
    assert names(s3) == ["a.de.srt", "a.mp4.txt"]
    await store_transcript("a.mp4", "new", force=True)
    async with storing(formats="srt", name="{name}.{format}"):
        await status(pending=0)
    assert names(s3) == ["a.mp4.srt"]


async def test_one_that_is_finished_while_the_old_one_is_stored_is_stored_too(
    store, store_transcript, pool, s3, sql, monkeypatch
):
    wanted = store(formats="txt")
    await wanted.follow_transcriptions()
    await store_transcript("a.mp4", "old")
    [(id, queue_job)] = await sql("select id, queue_job from jobs where kind = %s", STORE_RESULT)
    async with pool.connection() as connection:
        attempt = await transitions.begin(connection, queue_job, id)
    put = wanted._bucket.put

    def put_slowly(*arguments):
        asyncio.run_coroutine_threadsafe(store_transcript("a.mp4", "new", force=True), loop).result()
        put(*arguments)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(wanted._bucket, "put", put_slowly)
    await wanted.work(attempt)
    assert await sql("select state, queue_job <> %s from jobs where id = %s", queue_job, id) == [("queued", True)]


async def test_a_long_transcript_is_written_to_a_file_first(storing, store_transcript, s3, status, monkeypatch):
    monkeypatch.setattr(results, "IN_MEMORY_BYTES", 100)
    await store_transcript("a.mp4", *["hello"] * 50)
    async with storing(formats="txt"):
        await status(pending=0)
    assert read(s3, "a.mp4.txt") == "hello\n" * 50


def test_a_bucket_needs_minio():
    with pytest.raises(SettingsError, match=r"\[results\] bucket: needs \[minio\] endpoint"):
        ResultBucket(MinioSection(), "words")


async def test_status_and_show_report_what_is_not_stored(orchestrator, store, store_transcript, sql):
    await store().follow_transcriptions()
    await store_transcript("a.mp4", "hello")
    assert "results" not in (await orchestrator.run("status")).out, "no one wants any"
    with orchestrator.config.open("a") as config:
        config.write("\n[results]\nbucket = words\n")
    assert "1 result is not in the [results] bucket yet\n" in (await orchestrator.run("status")).out
    await sql("update jobs set error_message = 'no room' where kind = %s", STORE_RESULT)
    shown = await orchestrator.run("show", "a.mp4")
    assert "not in the [results] bucket yet, 1 of them refused and tried again: no room" in shown.err
    assert json.loads((await orchestrator.run("status", "--json")).out)["results"]["failing"] == 1


async def test_serve_stores_results(orchestrator, submit, s3, s3_port, tmp_path, status, job_in):
    section = minio(tmp_path, s3_port)
    with orchestrator.config.open("a") as config:
        config.write(
            f"\n[results]\nbucket = words\n[minio]\nendpoint = {section.endpoint}\naccess_key = reader\n"
            f"secret_key_file = {section.secret_key_file}\nsecure = false\n"
        )
    job = await submit("a.mp4")
    command = await orchestrator.start("serve")
    await job_in(job.id, "done")
    await status(pending=0)
    assert (await command.ends(signal.SIGTERM)).code == 0
    assert names(s3) == ["a.en.srt", "a.mp4.json"]


async def test_serve_without_the_keys_for_results_says_so(orchestrator):
    with orchestrator.config.open("a") as config:
        config.write("\n[results]\nbucket = words\n")
    outcome = await orchestrator.run("serve")
    assert (outcome.code, "[results] bucket: needs [minio] endpoint" in outcome.err) == (2, True)
