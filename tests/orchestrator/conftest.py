"""A real PostgreSQL for all tests, a fresh database for each, and workers that talk to a scripted transcriber."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tornado.testing import bind_unused_port

from extractor_api.routes import make_app as extractor_app
from extractor_api.service import ExtractorService
from orchestrator.api.handlers import OrchestratorService
from orchestrator.database.pool import Pool, make_pool, prepare
from orchestrator.exports.deletion import Deletions
from orchestrator.intake.bucket import Objects
from orchestrator.intake.event_intake import EventIntake, RecordingFilter
from orchestrator.intake.submission import Submissions
from orchestrator.intake.uploads import Uploads
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs import transitions
from orchestrator.jobs.models import Job, Options
from orchestrator.media.media import Media
from orchestrator.page.routes import make_app
from orchestrator.queue.procrastinate import Queue
from orchestrator.worker.progress import TranscriptionProgress
from orchestrator.worker.retry import RetryPolicy
from orchestrator.worker.stalled_jobs import Sweeper
from orchestrator.worker.transcriber_choice import Transcribers
from orchestrator.worker.transcription import transcription
from orchestrator.worker.worker import Worker
from reelscribe.contracts.events import Started
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.server.connections import ServiceServer
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.extractor import PathsSection
from reelscribe.settings.loading import Settings
from reelscribe.settings.shared import MinioSection
from tests.guard import temporary_folder
from tests.orchestrator import databases
from tests.orchestrator.commands import InProcess, Orchestrator
from tests.orchestrator.pauses import shorten_pauses
from tests.orchestrator.proxy import Proxy
from tests.orchestrator.scripted import ScriptedTranscriber, finished, segment
from tests.s3_server import s3_server
from tests.waiting import TIMEOUT_SECONDS, eventually

BUCKET = "videos"
MAX_ATTEMPTS = 3


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Where a PostgreSQL can be made: not in pytest's folders, which it closes to root's pgserver."""
    with temporary_folder("reelscribe-test-") as folder:
        yield folder / "data" / "postgres"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a migrated database without connections: the template of all others."""
    with databases.empty() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes"):
                connection.execute(f"alter system set {setting} = off")
            connection.execute("select pg_reload_conf()")
        prepare(url)
        yield url


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with s3_server(tmp_path_factory.mktemp("moto") / "console") as port:
        yield port


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    with databases.copy_of(postgres) as url:
        yield url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with make_pool(database_url) as pool:
        yield pool


@pytest.fixture
async def queue(pool: Pool) -> Queue:
    queue = Queue(pool)
    await queue.open()
    return queue


@pytest.fixture
def submissions(pool: Pool, queue: Queue) -> Submissions:
    return Submissions(pool, queue)


@pytest.fixture
async def transcriber() -> AsyncIterator[ScriptedTranscriber]:
    async with ScriptedTranscriber().listening() as b:
        yield b


@pytest.fixture
def sql(pool: Pool) -> Callable[..., Awaitable[list[Any]]]:
    """Run a statement; its rows."""

    async def run(statement: str, *parameters: Any) -> list[Any]:
        async with pool.connection() as connection:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
async def proxy(pool: Pool) -> AsyncIterator[Proxy]:
    """Another way to the database, which can be cut."""
    async with pool.connection() as connection:
        server = connection.info
    async with Proxy(server.host, server.port, server.dbname).listening() as proxy:
        yield proxy


@pytest.fixture
def submit(submissions: Submissions) -> Callable[..., Awaitable[Job]]:
    async def submit(
        savepath: str = "talk.mp4",
        force: bool = False,
        priority: int | None = None,
        bucket: str = BUCKET,
        **options: Any,
    ) -> Job:
        [(job, _)] = await submissions.submit(bucket, [savepath], Options(**options), priority, force)
        return job

    return submit


@pytest.fixture
def job_in(pool: Pool) -> Callable[..., Awaitable[Job]]:
    """Wait until a job is in one of these states."""

    async def wait(id: int, *states: str, seconds: float = TIMEOUT_SECONDS) -> Job:
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            with suppress(psycopg.OperationalError):  # tests that cut all connections cut this one too
                async with pool.connection() as connection:
                    [job] = await job_queries.jobs_by_id(connection, [id])
                if job.state in states:
                    return job
                late = asyncio.get_running_loop().time() > deadline
                assert not late, f"the job is {job.state}, not {' or '.join(states)}: {job.error}"
            await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def orchestrator(tmp_path: Path, database_url: str, transcriber: ScriptedTranscriber, free_port: int) -> Orchestrator:
    config = tmp_path / "config.cfg"
    config.write_text(
        f"""
        [orchestrator]
        port = {free_port}
        transcriber_urls = {transcriber.url}
        [database]
        url = {database_url}
        """.replace("    ", "")
    )
    return Orchestrator(config)


@pytest.fixture
def commands(orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """The same commands in this process."""
    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", lambda *_: None)
    monkeypatch.setattr("reelscribe.logs.configure", lambda *_: None)
    return InProcess(orchestrator.config)


@pytest.fixture
def store_transcript(
    pool: Pool, queue: Queue, submit: Callable[..., Awaitable[Job]], sql: Callable[..., Awaitable[list[Any]]]
) -> Callable[..., Awaitable[Job]]:
    """Store a transcript of these texts, 4 s each, as a worker does with what the transcriber sends."""

    async def store(
        savepath: str,
        *texts: str,
        language: str = "en",
        modified: datetime | None = None,
        incomplete: str | None = None,
        force: bool = False,
        bucket: str = BUCKET,
        seconds: float = 4.0,
        etag: str = "etag-1",
        **options: Any,
    ) -> Job:
        job = await submit(savepath, force=force, bucket=bucket, **options)
        [(queue_job,)] = await sql("select queue_job from transcriptions where id = %s", job.id)
        progress = TranscriptionProgress(pool, queue)
        async with pool.connection() as connection:
            attempt = await transitions.begin(connection, queue_job, job.id)
        assert attempt
        attempt.vocabulary = []  # as if it had been transcribed before there was one
        whole = seconds * len(texts)
        started = Started(model="scripted", language=language, language_probability=0.9, duration=whole, etag=etag)
        await progress.start(attempt, "http://transcriber", started)
        for index, text in enumerate(texts):
            begin = seconds * index
            await progress.store(attempt, [segment(begin, begin + seconds - 1, text)], begin + seconds)
        end = finished(whole, incomplete, len(texts))
        end = end.model_copy(update={"last_modified": modified, "size": 1000, "etag": etag})
        await progress.finish(attempt, [], end)
        async with pool.connection() as connection:
            return (await job_queries.jobs_by_id(connection, [job.id]))[0]

    return store


@pytest.fixture
def orchestrator_service(pool: Pool, queue: Queue, submissions: Submissions, tmp_path: Path) -> OrchestratorService:
    """The orchestrator as its handlers see it; its extractor is away, and it asks for no token. Uploads go into the
    folder of the bucket, once that is there.
    """
    objects = Objects("http://127.0.0.1:9", Tokens(), BUCKET)
    intake = EventIntake(pool, Submissions(pool, queue, objects), RecordingFilter(Settings()), objects)
    return OrchestratorService(
        *(Tokens(), pool, queue, submissions, BUCKET, intake, Deletions(pool, queue, MinioSection())),
        media=Media(pool, "http://127.0.0.1:9", Tokens(), BUCKET),
        uploads=Uploads(Settings(paths=PathsSection(minio_data_path=tmp_path / "minio")), pool, submissions),
    )


@pytest.fixture
async def serving(orchestrator_service: OrchestratorService) -> AsyncIterator[Callable[[Tokens], str]]:
    """Start the orchestrator's HTTP API; its URL."""
    servers = []

    def start(tokens: Tokens) -> str:
        orchestrator_service.access.tokens = tokens
        server = ServiceServer(make_app(orchestrator_service))
        socket, port = bind_unused_port()
        server.add_socket(socket)
        servers.append(server)
        return f"http://127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop()
        await server.close_all_connections()


@asynccontextmanager
async def run_worker(
    database_url: str,
    urls: tuple[str, ...],
    progress_timeout: float,
    token: str | None = None,
    backoff: float = 0,
    answer_timeout: float = 30,
    max_running: int | None = 4,
) -> AsyncIterator[Worker]:
    """A worker with connections of its own."""
    tokens = Tokens((token,)) if token else Tokens()
    async with (
        make_pool(database_url, answer_timeout) as pool,
        Transcribers(urls, tokens, progress_timeout) as transcribers,
    ):
        queue = Queue(pool)
        await queue.open()
        retry = RetryPolicy(MAX_ATTEMPTS, lambda failures: backoff)
        kind = transcription(TranscriptionProgress(pool, queue), transcribers, BUCKET, max_running, retry)
        worker = Worker(pool, queue, [kind], Sweeper(pool, queue, MAX_ATTEMPTS))
        tasks = [asyncio.create_task(worker.run())]
        if max_running is None:  # else tests count how often a transcriber was asked
            tasks.append(asyncio.create_task(transcribers.watch()))
        try:
            yield worker
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


@pytest.fixture
def working(
    database_url: str, transcriber: ScriptedTranscriber, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AbstractAsyncContextManager[Worker]]:
    """A worker that asks the scripted transcriber, or those that are named, again after a tenth of a second."""
    shorten_pauses(monkeypatch)

    def work(
        *urls: str, progress_timeout: float = 5, token: str | None = None, backoff: float = 0
    ) -> AbstractAsyncContextManager[Worker]:
        return run_worker(database_url, urls or (transcriber.url,), progress_timeout, token, backoff)

    return work


@pytest.fixture
def notified(
    sql: Callable[..., Awaitable[list[Any]]], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Awaitable[list[Any]]]:
    """Workers look for nothing by themselves, they have to be notified of it; wait until one listens."""
    monkeypatch.setattr("orchestrator.worker.worker.POLL_SECONDS", 3600.0)
    listening = (
        "select pid from pg_stat_activity"
        " where datname = current_database() and position('LISTEN ' in query) > 0 and pid <> pg_backend_pid()"
    )
    return lambda: eventually(lambda: sql(listening))


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def tokens_of_extractor() -> Tokens:
    """None is asked for."""
    return Tokens()


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """The folder of a bucket, with a few objects."""
    folder = tmp_path / "minio" / BUCKET
    for name in ("talks/a.mp4", "talks/b.mp4", "youtube/c.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def other_buckets() -> tuple[str, ...]:
    """Of the extractor."""
    return ()


@pytest.fixture
async def extractor(
    bucket: Path, other_buckets: tuple[str, ...], local_ffmpeg: FFmpeg, tokens_of_extractor: Tokens
) -> AsyncIterator[str]:
    """The URL of a real extractor on this bucket."""
    settings = Settings(paths=PathsSection(minio_data_path=bucket.parent, buckets=other_buckets))
    service = ExtractorService(settings, local_ffmpeg, tokens_of_extractor)
    server = ServiceServer(extractor_app(service))
    socket, port = bind_unused_port()
    server.add_socket(socket)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await server.close_all_connections()
    service.results.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of a server, and its key, in one file; it is its own authority."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "-", "-days", "2", "-subj", "/CN=ours", "-addext", "subjectAltName=IP:127.0.0.1"]
    file.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return file


@pytest.fixture
async def tls_port(authority: Path) -> AsyncIterator[int]:
    """Of a server that speaks TLS, and answers each request with 404."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
