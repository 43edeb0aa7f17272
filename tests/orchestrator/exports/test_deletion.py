"""Forgetting recordings: nothing is left of them in any table, nor in the bucket, and nothing comes back."""

import asyncio
import os
import time
from typing import Any

import httpx
import psycopg
import pytest
from minio import Minio

from orchestrator.exports.deletion import Deletions
from orchestrator.intake.upload import upload
from orchestrator.jobs import deletion as deletion_sql
from orchestrator.jobs.deletion import Deleted
from orchestrator.jobs.models import Options
from reelscribe.errors import JobNotFound, PeerRefused, PeerUnreachable
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.loading import Settings
from reelscribe.settings.shared import MinioSection
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.contract import CONTRACT
from tests.orchestrator.scripted import falls_silent_after
from tests.s3_server import emptied, minio
from tests.waiting import eventually


async def test_nothing_is_left_in_any_table_and_in_the_bucket(
    storing, stored, store_transcript, submit, deletions, traces, names, ids_of, sql
):
    for savepath in ("talks/a_1.mp4", "talks/a_1.mp4.mp4"):
        await store_transcript(savepath, "hello", "world")
        await store_transcript(savepath, "hello", "again", force=True)
    await stored(2)
    await submit("talks/a_1.mp4", language="de")
    ids, counted = await ids_of("talks/a_1.mp4"), Deleted(savepaths=1, jobs=4, transcripts=2, results=2)
    kept = set(names()) - {"talks/a_1.mp4.json", "talks/a_1.en.srt"}
    assert len(names()) == 4 and len(await traces('"talks/a_1.mp4"', ids)) >= 2
    assert await deletions.delete(BUCKET, ["talks/a_1.mp4", "not/there.mp4"]) == counted
    assert await traces('"talks/a_1.mp4"', ids) == {}
    assert names() == ["talks/a_1.mp4.mp4.en.srt", "talks/a_1.mp4.mp4.json"] == sorted(kept)
    [(left,)] = await sql("select sum(delta)::int from state_changes where kind = 'transcribe'")
    assert left == 1
    assert (await deletions.delete(BUCKET, None, "talks/")).transcripts == 2
    assert await sql("select count(*) from segments") == [(0,)]
    assert names() == []


async def test_what_is_counted_before_is_what_is_removed(storing, stored, store_transcript, deletions, pool):
    await store_transcript("a.mp4", "hello")
    await stored(1)
    async with pool.connection() as connection:
        counted = await deletion_sql.count(connection, BUCKET, ["a.mp4"])
    assert (
        counted == await deletions.delete(BUCKET, ["a.mp4"]) == Deleted(savepaths=1, jobs=2, transcripts=1, results=2)
    )


async def test_if_the_bucket_fails_nothing_is_forgotten_and_it_can_be_tried_again(
    storing, stored, store_transcript, deletions, pool, queue, tmp_path, free_port, names
):
    await store_transcript("a.mp4", "hello")
    await stored(1)
    away = Deletions(pool, queue, minio(tmp_path, free_port))
    with pytest.raises(PeerUnreachable):
        await away.delete(BUCKET, ["a.mp4"])
    with pytest.raises(PeerRefused, match=r"\[minio\] needs endpoint"):
        await Deletions(pool, queue, MinioSection()).delete(BUCKET, ["a.mp4"])
    async with pool.connection() as connection:
        assert (await deletion_sql.count(connection, BUCKET, ["a.mp4"])).results == 2
    assert len(names()) == 2
    assert (await deletions.delete(BUCKET, ["a.mp4"])).results == 2
    assert names() == []


async def test_a_recording_of_another_bucket_has_results_of_its_own(
    storing, stored, store_transcript, deletions, names
):
    for savepath in ("c/v.mp4", "more/c/v.mp4"):
        await store_transcript(savepath, "videos")
    await store_transcript("c/v.mp4", "more", bucket="more")
    await stored(3)
    assert names() == [
        f"{folder}c/v.{ending}" for folder in ("", "more/", "videos/more/") for ending in ("en.srt", "mp4.json")
    ]
    await deletions.delete("more", ["c/v.mp4"])
    assert len(names()) == 4 and not [name for name in names() if name.startswith("more/")]


async def test_an_object_that_another_recording_has_too_is_not_removed(
    storing, stored, store_transcript, deletions, names, sql
):
    await store_transcript("a.mp4", "hello")
    await store_transcript("b.mp4", "hello")
    await stored(2)
    await sql("update stored_results set name = 'a.mp4.json' where name = 'b.mp4.json'")
    await deletions.delete(BUCKET, ["b.mp4"])
    assert names() == ["a.en.srt", "a.mp4.json", "b.mp4.json"]


async def test_a_name_with_control_characters_is_removed_with_the_others(
    storing, stored, store_transcript, deletions, names, sql
):
    for savepath in ("c/e\x1b[31mvil.mp4", "c/a.mp4"):
        await store_transcript(savepath, "hello")
    await stored(2)
    await store_transcript("c/e\nvil.mp4", "hello")  # a name that this server does not take
    refused = "select error_message like '%%it takes no name with such%%' from jobs where error_message is not null"
    await _becomes(lambda: sql(refused), [(True,)])
    assert (await deletions.delete(BUCKET, None, "c/")).results == 5
    assert names() == []


async def test_a_result_that_is_being_stored_does_not_come_back(
    storing, store_transcript, deletions, names, traces, ids_of
):
    storing.open.clear()
    await store_transcript("a.mp4", "hello")
    await asyncio.to_thread(storing.reached.wait, 20)
    ids = await ids_of("a.mp4")
    deleting = asyncio.create_task(deletions.delete(BUCKET, ["a.mp4"]))
    await asyncio.sleep(0.3)
    assert not deleting.done(), "it waits for the object that is being written"
    storing.open.set()
    assert (await deleting).savepaths == 1
    await asyncio.sleep(0.5)
    assert names() == []
    await _becomes(lambda: traces("a.mp4", ids), {})


async def test_a_running_job_writes_nothing_any_more(submit, working, transcriber, job_in, deletions, traces):
    transcriber.scripts = [falls_silent_after(1)]
    async with working():
        job = await submit()
        await job_in(job.id, "running")
        assert (await deletions.delete(BUCKET, ["talk.mp4"])).jobs == 1
        await _becomes(lambda: traces("talk.mp4", [job.id]), {})


async def test_submissions_and_deletions_at_the_same_time_neither_fail_nor_block_each_other(
    submissions, deletions, sql, pool
):
    for _ in range(10):
        await asyncio.wait_for(
            asyncio.gather(
                *(submissions.submit(BUCKET, ["talk.mp4", "b.mp4"], Options()) for _ in range(4)),
                *(deletions.delete(BUCKET, ["b.mp4", "talk.mp4"]) for _ in range(3)),
                submissions.submit(BUCKET, ["b.mp4", "talk.mp4"], Options(), force=True),
            ),
            20,
        )
    await deletions.delete(BUCKET, None, "")
    assert await sql("select count(*) from jobs union all select count(*) from procrastinate_jobs") == [(0,), (0,)]


@pytest.mark.parametrize(
    ("is_cancelled", "wanted"), [(True, {}), (False, {"priority": 5}), (False, {"webhook": "https://example.org"})]
)
async def test_a_submission_that_has_waited_for_a_deletion_makes_a_job(
    submissions, submit, database_url, sql, is_cancelled, wanted
):
    old = await submit("talk.mp4")
    if is_cancelled:
        await submissions.cancel([old.id])
    [(recording,)] = await sql("select id from media")
    async with await psycopg.AsyncConnection.connect(database_url) as deleting:
        await deletion_sql.lock(deleting, [recording])
        submission = asyncio.create_task(submissions.submit(BUCKET, ["talk.mp4", "b.mp4"], Options(), **wanted))
        waiting = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        await eventually(lambda: sql(waiting))
        await deleting.execute("delete from procrastinate_jobs where savepath = 'talk.mp4'")
        await deletion_sql.remove(deleting, [recording])
        await deleting.commit()
        submitted = await submission
    assert [(job.savepath, job.state, outcome) for job, outcome in submitted] == [
        ("talk.mp4", "queued", "new"),
        ("b.mp4", "queued", "new"),
    ]
    assert await sql("select savepath from procrastinate_jobs order by 1") == [("b.mp4",), ("talk.mp4",)]


async def test_only_jobs_without_a_transcript_are_removed_as_jobs(submit, store_transcript, deletions, serving, sql):
    url = serving(Tokens())
    mistyped, done = await submit("mistyped.mp4"), await store_transcript("a.mp4", "hello")
    async with httpx.AsyncClient(base_url=url, event_hooks={"response": [CONTRACT.check]}) as client:
        removed = await client.delete(f"/api/jobs/{mistyped.id}")
        assert (removed.status_code, removed.json()["jobs"], removed.json()["savepaths"]) == (200, 1, 1)
        assert (await client.delete(f"/api/jobs/{mistyped.id}")).status_code == 404
        kept = await client.delete(f"/api/jobs/{done.id}")
        assert (kept.status_code, kept.json()["error"]["code"]) == (409, "transcript_kept")
        gone = await client.delete("/api/transcripts/a.mp4")
        assert (gone.status_code, gone.json()) == (
            200,
            {"savepaths": 1, "jobs": 1, "transcripts": 1, "results": 0, "edits": 0},
        )
        again = await client.delete("/api/transcripts/a.mp4")
        assert (again.status_code, again.json()["error"]["code"]) == (404, "transcript_not_found")
    assert await sql("select count(*) from media") == [(0,)]
    with pytest.raises(JobNotFound):
        await deletions.delete_job(done.id)


async def test_a_stream_of_events_of_a_job_ends_when_it_is_removed(submit, serving):
    job = await submit()
    async with httpx.AsyncClient(base_url=serving(Tokens())) as client:
        async with client.stream("GET", f"/api/jobs/{job.id}/events") as stream:
            lines = stream.aiter_lines()
            while "queued" not in await anext(lines):
                pass
            assert (await client.delete(f"/api/jobs/{job.id}")).status_code == 200
            async with asyncio.timeout(60):
                assert not [line async for line in lines if "cancelled" in line]
        assert (await client.get(f"/api/jobs/{job.id}/events")).status_code == 404


async def test_a_local_file_is_uploaded_through_minio_and_submitted(commands, s3_port, tmp_path, sql):
    s3 = emptied(s3_port, "videos")
    minio(tmp_path, s3_port)  # writes the key
    section = f"[minio]\nendpoint = 127.0.0.1:{s3_port}\naccess_key = reader\nsecure = false\n"
    commands.config.write_text(f"{commands.config.read_text()}{section}secret_key_file = {tmp_path}/secret\n")
    upload = ("submit", "--upload", str(tmp_path / "talk.mp4"))
    (tmp_path / "talk.mp4").write_bytes(b"first")
    taken = await commands.run(*upload, "--into", "up/")
    assert (taken.code, taken.out) == (0, "queued    up/talk.mp4\n")
    (tmp_path / "talk.mp4").write_bytes(b"second")
    kept = await commands.run(*upload, "--into", "up")
    assert (kept.code, kept.err.startswith("videos has up/talk.mp4 already")) == (1, True)
    assert s3.get_object(bucket_name="videos", object_name="up/talk.mp4").data == b"first"
    assert (await commands.run(*upload, "--into", "up", "--overwrite")).code == 0
    assert s3.get_object(bucket_name="videos", object_name="up/talk.mp4").data == b"second"
    assert await sql("select savepath from media") == [("up/talk.mp4",)]
    refused = await commands.run(*upload, "--bucket", "no-such-bucket")
    assert (refused.code, "NoSuchBucket" in refused.err) == (1, True)


@pytest.fixture
def uploading(s3_port, tmp_path):
    """Upload a file of 30 MB; ``read`` is called each time some of it has been read."""
    emptied(s3_port, "videos")
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"x" * 30_000_000)

    async def upload_it(read) -> None:
        with path.open("rb") as file:
            settings = Settings(minio=minio(tmp_path, s3_port))
            await upload(settings, "videos", file, "cut.mp4", False, lambda size: read(path))

    return upload_it


async def test_a_file_that_becomes_shorter_is_not_uploaded(uploading, s3):
    with pytest.raises(OSError, match="shorter") as failure:
        await uploading(lambda path: os.truncate(path, 12_000_000))
    assert failure.value.strerror
    assert not list(s3.list_objects(bucket_name="videos", prefix="cut"))


async def test_an_interrupted_upload_is_aborted_with_no_part_on_its_way(uploading, monkeypatch):
    under_way: list[Any] = []
    when_aborted: list[Any] = []
    execute, loop = Minio._execute, asyncio.get_running_loop()

    def watched(self, method, *arguments, **named):
        if method == "DELETE":
            when_aborted.append(len(under_way))
            return execute(self, method, *arguments, **named)
        under_way.append(method)
        try:
            time.sleep(0.1)
            return execute(self, method, *arguments, **named)
        finally:
            under_way.pop()

    monkeypatch.setattr(Minio, "_execute", watched)
    reads = []

    def interrupt(path) -> None:
        reads.append(path)
        if len(reads) == 3:
            loop.call_soon_threadsafe(task.cancel)

    task = asyncio.create_task(uploading(interrupt))
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await eventually(lambda: when_aborted) == [0]


async def _becomes(look, wanted) -> None:
    async def found() -> bool:
        return await look() == wanted

    await eventually(found)
