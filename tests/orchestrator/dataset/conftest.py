"""A bucket of noise with a real extractor in front, transcripts of it, and workers that build shards."""

import asyncio
import random
import tarfile
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.exports.dataset.shard_work import ShardBuilder
from orchestrator.intake.bucket import Objects
from orchestrator.jobs import transitions
from orchestrator.jobs.datasets import SHARD
from orchestrator.jobs.models import Job
from orchestrator.queue.procrastinate import Queue
from orchestrator.worker.kinds import Kind
from orchestrator.worker.progress import TranscriptionProgress
from orchestrator.worker.retry import RetryPolicy
from orchestrator.worker.stalled_jobs import Sweeper
from orchestrator.worker.worker import Worker
from reelscribe.contracts.events import Segment, Started, Word
from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.commands import Orchestrator
from tests.orchestrator.conftest import BUCKET, MAX_ATTEMPTS
from tests.orchestrator.scripted import finished, segment
from tests.orchestrator.watched import Bucket, watched_bucket

RATE = 16_000


def noise(seed: int, seconds: float) -> bytes:
    """Samples of which no two stretches are alike."""
    return random.Random(seed).randbytes(2 * int(seconds * RATE))


def write_wav(path: Path, samples: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples)


def said(*times: tuple[float, float], probability: float = 0.9) -> Segment:
    """A segment of words, each with its start and end: w0 w1 …"""
    words = [Word(start=start, end=end, word=f" w{n}", probability=probability) for n, (start, end) in enumerate(times)]
    return segment(times[0][0], times[-1][1], "".join(word.word for word in words), words)


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Bucket]:
    async with watched_bucket(tmp_path / "minio") as bucket:
        yield bucket


@pytest.fixture
def put_noise(archive: Bucket) -> Callable[..., bytes]:
    """Store a recording of noise; its samples."""

    def put(savepath: str, seconds: float = 12.0, seed: int = 1) -> bytes:
        samples = noise(seed, seconds)
        write_wav(archive.data_path / BUCKET / savepath, samples)
        return samples

    return put


@pytest.fixture
def orchestrator(tmp_path: Path, database_url: str, archive: Bucket, transcriber, free_port: int) -> Orchestrator:
    config = tmp_path / "config.cfg"
    config.write_text(
        f"""
        [orchestrator]
        port = {free_port}
        transcriber_urls = {transcriber.url}
        extractor_url = {archive.url}
        worker_timeout = 2
        [paths]
        bucket_name = {BUCKET}
        [database]
        url = {database_url}
        """.replace("    ", "")
    )
    return Orchestrator(config)


@pytest.fixture
def store_speech(pool, queue, submit, sql, archive: Bucket) -> Callable[..., Awaitable[Job]]:
    """Store a finished transcript of an object, as a worker does with what the transcriber sends."""

    async def store(savepath: str, *segments: Segment, seconds: float = 12.0, **options: Any) -> Job:
        known = await Objects(archive.url, Tokens(), BUCKET).identities(BUCKET, [savepath])
        etag = known[savepath].etag if savepath in known else "gone"
        job = await submit(savepath, **options)
        [(queue_job,)] = await sql("select queue_job from transcriptions where id = %s", job.id)
        progress = TranscriptionProgress(pool, queue)
        async with pool.connection() as connection:
            attempt = await transitions.begin(connection, queue_job, job.id)
        started = Started(model="scripted", language="en", language_probability=0.9, duration=seconds, etag=etag)
        await progress.start(attempt, "http://transcriber", started)
        numbered = [one.model_copy(update={"index": number}) for number, one in enumerate(segments)]
        end = finished(seconds, None, len(segments)).model_copy(update={"etag": etag, "track": None})
        await progress.finish(attempt, numbered, end)
        return job

    return store


@pytest.fixture
def building(pool, archive: Bucket) -> Callable[..., AbstractAsyncContextManager[None]]:
    """A worker in this process that builds shards."""

    @asynccontextmanager
    async def build(shards: int = 2) -> AsyncIterator[None]:
        queue = Queue(pool)
        await queue.open()
        builder = ShardBuilder(pool, archive.url, Tokens())
        kind = Kind(SHARD, shards, builder.work, RetryPolicy(MAX_ATTEMPTS, lambda failures: 0))
        task = asyncio.create_task(Worker(pool, queue, [kind], Sweeper(pool, queue, MAX_ATTEMPTS)).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    return build


def members(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All files of all shards of a dataset, in order."""
    for path in sorted((folder / "shards").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content
                yield member.name, content.read()


def files(folder: Path) -> dict[str, bytes]:
    """All files of a folder by their names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
