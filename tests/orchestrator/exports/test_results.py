"""Results in a bucket of a real S3 server, which may be away."""

import asyncio
import json
import signal
from contextlib import asynccontextmanager

import pytest
from minio import Minio

from orchestrator.exports import results, results_queue
from orchestrator.exports.results import make_result_writer
from reelscribe.errors import SettingsError
from reelscribe.settings.orchestrator import ResultsSection
from reelscribe.settings.sections import MinioSection
from tests.extractor_api.s3_server import SECRET, minio, s3_server


@pytest.fixture(scope="module")
def s3_port(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("moto") / "console") as port:
        yield port


@pytest.fixture
def s3(s3_port):
    client = Minio(f"127.0.0.1:{s3_port}", "reader", SECRET, secure=False)
    if not client.bucket_exists(bucket_name="words"):
        client.make_bucket(bucket_name="words")
    for found in client.list_objects(bucket_name="words", recursive=True):
        client.remove_object(bucket_name="words", object_name=found.object_name)
    return client


@pytest.fixture
def storing(pool, tmp_path, s3_port, monkeypatch):
    """An orchestrator that stores results."""
    monkeypatch.setattr(results, "LOOK_SECONDS", 0.05)

    @asynccontextmanager
    async def run(port: int = s3_port, **section):
        writer = make_result_writer(
            pool, minio(tmp_path, port), ResultsSection.model_validate({"bucket": "words", **section})
        )
        task = asyncio.create_task(writer.run())
        yield
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()

    return run


@pytest.fixture
def status(pool):
    async def wait(**wanted):
        for _ in range(500):
            async with pool.connection() as connection:
                found = await results_queue.count(connection)
            if wanted.items() <= found.model_dump().items():
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(found)

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


async def test_a_finished_transcript_lies_beside_its_savepath(storing, heard, s3, status):
    await heard("talks/ä b.mp4", "hello", "world")
    await status(pending=1)
    async with storing(prefix="out/"):
        await status(pending=0)
    assert names(s3) == ["out/talks/ä b.mp4.json", "out/talks/ä b.mp4.srt"]
    assert json.loads(read(s3, "out/talks/ä b.mp4.json"))["text"] == "hello world"
    assert read(s3, "out/talks/ä b.mp4.srt").startswith("1\n00:00:00,000 --> 00:00:03,000\nhello\n")
    kind = s3.stat_object(bucket_name="words", object_name="out/talks/ä b.mp4.srt").content_type
    assert kind == "application/x-subrip; charset=utf-8"


async def test_the_formats_are_those_of_the_settings(storing, heard, s3, status):
    await heard("a.mp4", "hello")
    async with storing(formats="vtt"):
        await status(pending=0)
    assert names(s3) == ["a.mp4.vtt"]


async def test_a_refused_result_is_told_and_tried_until_it_is_stored(storing, heard, s3, status, monkeypatch):
    monkeypatch.setattr(results, "_pause", lambda tries: 0.1)
    await heard("a.mp4", "hello")
    async with storing(bucket="later"):
        failing = await status(failing=1)
        assert "does not take a.mp4.json into bucket later (NoSuchBucket); see [results] bucket" in failing.error
        s3.make_bucket(bucket_name="later")
        await status(pending=0)


async def test_what_waits_is_stored_after_a_restart(storing, heard, s3, status, sql):
    await heard("a.mp4", "hello")
    async with storing(port=9):
        assert "does not answer" in (await status(failing=1)).error
    await sql("update pending_results set next_try_at = now()")  # the time it waits for
    async with storing():
        await status(pending=0)
    assert names(s3) == ["a.mp4.json", "a.mp4.srt"]


async def test_pauses_grow_to_an_hour():
    assert results._pause(1) < 6 < results._pause(4) < 60 < 3600 <= results._pause(30) < 3700


async def test_one_that_dies_while_it_stores_leaves_it_to_another(pool, heard, sql):
    job = await heard("a.mp4", "hello")
    async with pool.connection() as connection:
        assert (await results_queue.claim(connection)) == (job.id, 1)
        assert await results_queue.claim(connection) is None
    await sql("update pending_results set next_try_at = next_try_at - interval '1 hour'")
    async with pool.connection() as connection:
        assert (await results_queue.claim(connection)) == (job.id, 2)


async def test_a_try_that_a_clock_has_put_too_far_off_is_due(pool, heard, sql):
    job = await heard("a.mp4", "hello")
    await sql("update pending_results set next_try_at = now() + interval '1 day'")
    async with pool.connection() as connection:
        assert (await results_queue.claim(connection)) == (job.id, 1)


async def test_the_newest_transcript_is_what_stays(storing, heard, s3, status):
    await heard("a.mp4", "old")
    await heard("a.mp4", "new", force=True)
    async with storing():
        await status(pending=0)
    assert json.loads(read(s3, "a.mp4.json"))["text"] == "new"


async def test_a_newer_one_that_was_overwritten_is_stored_again(pool, heard, status):
    old = await heard("a.mp4", "old")
    await heard("a.mp4", "new", force=True)
    async with pool.connection() as connection:
        await connection.execute("delete from pending_results")  # the newer one was faster
        await results_queue.stored(connection, old)
    await status(pending=1)


async def test_a_long_transcript_goes_through_a_file(storing, heard, s3, status, monkeypatch):
    monkeypatch.setattr(results, "IN_MEMORY_BYTES", 100)
    await heard("a.mp4", *["hello"] * 50)
    async with storing(formats="txt"):
        await status(pending=0)
    assert read(s3, "a.mp4.txt") == "hello\n" * 50


def test_a_bucket_needs_minio(pool):
    with pytest.raises(SettingsError, match=r"\[results\] bucket: needs \[minio\] endpoint"):
        make_result_writer(pool, MinioSection(), ResultsSection(bucket="words"))


async def test_status_and_show_tell_what_is_not_stored(orchestrator, heard, sql):
    await heard("a.mp4", "hello")
    assert "results" not in (await orchestrator.run("status")).out, "nobody wants any"
    with orchestrator.config.open("a") as config:
        config.write("\n[results]\nbucket = words\n")
    assert "1 result is not in the [results] bucket yet\n" in (await orchestrator.run("status")).out
    await sql("update pending_results set error_message = 'no room'")
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
    await job_in(job.id, "done", seconds=30)
    await status(pending=0)
    assert (await command.ends(signal.SIGTERM)).code == 0
    assert names(s3) == ["a.mp4.json", "a.mp4.srt"]


async def test_serve_without_the_keys_for_results_says_so(orchestrator):
    with orchestrator.config.open("a") as config:
        config.write("\n[results]\nbucket = words\n")
    outcome = await orchestrator.run("serve")
    assert (outcome.code, "[results] bucket: needs [minio] endpoint" in outcome.err) == (2, True)
