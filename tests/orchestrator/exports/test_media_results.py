"""Previews and sound of recordings in buckets of a real S3 server, made by a real extractor."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from minio import Minio

from orchestrator.exports import result_bucket
from orchestrator.exports.deletion import Deletions
from orchestrator.exports.media_results import MediaStore
from orchestrator.exports.pending_results import STORE_MEDIA, STORE_RESULT
from orchestrator.exports.result_bucket import ResultBucket
from orchestrator.exports.results import ResultStore
from orchestrator.intake.bucket import Objects
from orchestrator.intake.event_intake import RecordingFilter
from orchestrator.queue.procrastinate import Queue
from orchestrator.worker.kinds import Kind
from orchestrator.worker.retry import RetryPolicy
from orchestrator.worker.stalled_jobs import Sweeper
from orchestrator.worker.worker import Worker
from reelscribe.errors import SettingsError
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.extractor import PathsSection
from reelscribe.settings.loading import Settings
from reelscribe.settings.orchestrator import ResultsSection
from tests.orchestrator.conftest import BUCKET, MAX_ATTEMPTS
from tests.orchestrator.watched import watched_bucket
from tests.s3_server import door, emptied, minio
from tests.waiting import eventually

SECONDS = 6
BEGINNINGS = {"gif": b"GIF8", "ebp": b"RIFF", "mp4": b"\0\0\0", "lac": b"fLaC", "wav": b"RIFF"}


@pytest.fixture
def s3(s3_port):
    return emptied(s3_port, "shown")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory, run_ffmpeg):
    """A video, another one, the same without its second half, and sound alone."""
    folder = tmp_path_factory.mktemp("recordings")
    pictures = ("-f", "lavfi", "-i", f"testsrc=size=160x90:rate=10:duration={SECONDS}")
    sound = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=16000:duration={SECONDS}")
    coded = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
    run_ffmpeg(*pictures, *sound, *coded, folder / "a.mp4")
    run_ffmpeg(*pictures, *sound, "-vf", "negate", *coded, folder / "other.mp4")
    run_ffmpeg(*pictures, *sound, *coded, "-movflags", "faststart", folder / "half.mp4")
    half = (folder / "half.mp4").read_bytes()
    (folder / "half.mp4").write_bytes(half[: len(half) // 2])
    run_ffmpeg("-f", "lavfi", "-i", "sine=sample_rate=48000:duration=60", "-ac", "2", folder / "sound.wav")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
async def archive(tmp_path):
    async with watched_bucket(tmp_path / "minio") as bucket:
        yield bucket


@pytest.fixture
def transcribed(archive, recordings, store_transcript):
    """Put a recording into the bucket, and store a transcript of it."""

    async def store(savepath: str, recording: str, **options) -> None:
        path = archive.data_path / BUCKET / savepath
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != recordings[recording]:
            path.write_bytes(recordings[recording])
        known = await Objects(archive.url, Tokens(), BUCKET).identities(BUCKET, [savepath])
        await store_transcript(savepath, "hello", etag=known[savepath].etag, **options)

    return store


@pytest.fixture
def storing(pool, archive, tmp_path, s3, s3_port):
    """A worker that stores what these keys of ``[results]`` name, and tries again soon."""

    @asynccontextmanager
    async def run(url: str = archive.url, **keys):
        queue = Queue(pool)
        await queue.open()
        section, keys_of = ResultsSection.model_validate(keys), minio(tmp_path, s3_port)
        buckets = {key: ResultBucket(keys_of, bucket, key) for key, (bucket, _) in section.media.items()}
        media = MediaStore(pool, queue, buckets, section, (BUCKET, "more"), url, Tokens(), 2)
        await media.follow_transcriptions()
        retry = RetryPolicy(max_failures=None, backoff=lambda failures: 0.1)
        kinds = [Kind(STORE_MEDIA, 1, media.work, retry)]
        if section.bucket:
            text = ResultStore(pool, queue, ResultBucket(keys_of, section.bucket), section, (BUCKET, "more"))
            await text.follow_transcriptions()
            kinds.append(Kind(STORE_RESULT, 1, text.work, retry))
        task = asyncio.create_task(Worker(pool, queue, kinds, Sweeper(pool, queue, MAX_ATTEMPTS)).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    return run


@pytest.fixture
def ended(sql):
    """Wait until all results are stored or given up; the states of the jobs."""

    async def wait() -> list:
        async def states() -> list | None:
            found = await sql("select state, error_code from jobs where kind like 'store_%%' order by kind, id")
            return found if all(state in ("done", "failed") for state, _ in found) else None

        return await eventually(states)

    return wait


def stored(s3: Minio) -> dict[str, bytes]:
    found = {}
    for one in s3.list_objects(bucket_name="shown", recursive=True):
        response = s3.get_object(bucket_name="shown", object_name=one.object_name)
        found[one.object_name] = response.data
        response.close()
        response.release_conn()
    return found


async def test_previews_and_sound_are_stored_next_to_the_text_and_deleted_with_it(
    storing, transcribed, s3, ended, pool, queue, tmp_path, s3_port
):
    keys = {"gif": "shown", "webp": "shown/moving", "mp4": "shown/small", "audio": "shown/sound"}
    async with storing(bucket="shown", **keys, audio_format="flac"):
        await transcribed("talks/a.mp4", "a.mp4")
        assert await ended() == [("done", None), ("done", None)]
        await transcribed("talks/a.mp4", "a.mp4", force=True)
        assert await ended() == [("done", None), ("done", None)]
    found = stored(s3)
    assert sorted(found) == [
        "moving/talks/a.mp4.1.webp", "moving/talks/a.mp4.2.webp",
        "small/talks/a.mp4.1.mp4", "small/talks/a.mp4.2.mp4", "sound/talks/a.mp4.flac",
        "talks/a.en.srt", "talks/a.mp4.1.gif", "talks/a.mp4.2.gif", "talks/a.mp4.json",
    ]  # fmt: skip
    for name, content in found.items():
        assert content.startswith(BEGINNINGS.get(name[-3:], b"")), name
    assert found["talks/a.mp4.1.gif"] != found["talks/a.mp4.2.gif"], "two moments"
    kind = s3.stat_object(bucket_name="shown", object_name="talks/a.mp4.1.gif").content_type
    assert kind == "image/gif"
    assert (await Deletions(pool, queue, minio(tmp_path, s3_port)).delete(BUCKET, ["talks/a.mp4"])).results == 9
    assert stored(s3) == {}


async def test_a_recording_without_a_picture_has_no_preview_and_that_is_no_failure(
    storing, transcribed, s3, ended, caplog
):
    await transcribed("sound.wav", "sound.wav")
    with caplog.at_level("INFO"):
        async with storing(gif="shown", audio="shown"):
            assert await ended() == [("done", None)]
    assert list(stored(s3)) == ["sound.wav.mp3"]
    assert "sound.wav: no 1.gif is stored: " in caplog.text


async def test_what_is_stored_of_the_same_recording_is_not_made_again(storing, transcribed, s3, ended):
    async with storing(gif="shown", previews=1):
        await transcribed("a.mp4", "a.mp4")
        await ended()
        s3.remove_object(bucket_name="shown", object_name="a.mp4.1.gif")
        await transcribed("a.mp4", "a.mp4", force=True)
        await ended()
        assert stored(s3) == {}, "it was there, as far as is known"
        await transcribed("a.mp4", "other.mp4", force=True)
        await ended()
        assert list(stored(s3)) == ["a.mp4.1.gif"]
    async with storing(gif="shown/elsewhere", previews=1):
        await transcribed("a.mp4", "other.mp4", force=True)
        await ended()
    assert list(stored(s3)) == ["elsewhere/a.mp4.1.gif"], "what has another name now is removed"


async def test_what_is_cut_on_its_way_is_not_stored_until_all_has_come(
    storing, transcribed, s3, ended, archive, sql, monkeypatch
):
    monkeypatch.setattr(result_bucket, "PART_BYTES", 5 << 20)
    await transcribed("sound.wav", "sound.wav")
    async with door(int(archive.url.rpartition(":")[2])) as (way, port):
        way.cut_after = 7 << 20  # of 11 MB: one part is stored already
        async with storing(url=f"http://127.0.0.1:{port}", audio="shown", audio_format="wav"):
            while await sql("select from jobs where kind = %s and failures = 0", STORE_MEDIA):
                await asyncio.sleep(0.02)
            assert stored(s3) == {}
            assert not s3._list_multipart_uploads("shown").uploads
            way.cut_after = None
            [(state, _)] = await ended()
            if state == "failed":  # it was cut twice
                await transcribed("sound.wav", "sound.wav", force=True)
                assert await ended() == [("done", None)]
    assert [len(content) > 11_000_000 for content in stored(s3).values()] == [True]


async def test_of_half_a_recording_only_what_is_complete_is_stored_and_the_job_says_why(
    storing, transcribed, s3, ended, sql, orchestrator
):
    await transcribed("half.mp4", "half.mp4")
    async with storing(gif="shown", audio="shown"):
        [(state, _)] = await ended()
    assert state == "failed"
    assert "half.mp4.mp3" not in stored(s3)
    [(reason,)] = await sql("select error_message from jobs where kind = %s", STORE_MEDIA)
    assert "half.mp4" in reason
    shown = (await orchestrator.run("show", "half.mp4")).err
    assert f"not all previews and sound files are stored: {reason}" in " ".join(shown.split())


async def test_a_preview_behind_the_end_of_the_picture_is_missing_and_the_job_says_so(
    storing, transcribed, s3, ended, sql
):
    await transcribed("a.mp4", "a.mp4")
    await sql("update jobs set progress_seconds = 20, declared_seconds = null where kind = 'transcribe'")
    async with storing(gif="shown"):
        assert await ended() == [("failed", "past_the_end")]
    assert list(stored(s3)) == ["a.mp4.1.gif"]


async def test_an_extractor_that_is_away_is_waited_for(storing, transcribed, s3, ended, sql, free_port):
    await transcribed("a.mp4", "a.mp4")
    async with storing(url=f"http://127.0.0.1:{free_port}", gif="shown"):
        waiting = "select failures, error_message from jobs where kind = %s and state = 'waiting'"
        [(failures, why)] = await eventually(lambda: sql(waiting, STORE_MEDIA))
    assert failures == 0 and "does not answer" in why


def test_results_are_no_recordings():
    chosen = Settings(paths=PathsSection(bucket_name=BUCKET), results=ResultsSection(audio=f"{BUCKET}/sound"))
    takes = RecordingFilter(chosen).takes
    assert (takes(BUCKET, "sound/a.mp4.mp3"), takes(BUCKET, "a.mp4.mp3")) == (False, True)
    with pytest.raises(SettingsError, match=f"audio: bucket {BUCKET} has recordings; name a folder"):
        MediaStore(None, None, {}, ResultsSection(audio=BUCKET), (BUCKET,), "", Tokens(), 1)


async def test_check_and_serve_say_what_is_missing(orchestrator, tmp_path, s3, s3_port):
    before = orchestrator.config.read_text()
    orchestrator.config.write_text(f"{before}\n[results]\ngif = shown/gif\naudio = elsewhere\n")
    missing = "[results] gif: needs [minio] endpoint, access_key and secret_key_file"
    assert missing in (await orchestrator.run("check")).out
    outcome = await orchestrator.run("serve")
    assert (outcome.code, missing in outcome.err) == (2, True)
    section = minio(tmp_path, s3_port)
    with orchestrator.config.open("a") as config:
        config.write(
            f"[minio]\nendpoint = {section.endpoint}\naccess_key = reader\nsecure = false\n"
            f"secret_key_file = {section.secret_key_file}\n"
        )
    said = (await orchestrator.run("check")).out
    assert "[results] gif shown: is there" in " ".join(said.split())
    assert "has no bucket elsewhere; make it, or name another in [results] audio" in said
