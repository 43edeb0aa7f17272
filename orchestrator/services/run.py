"""The orchestrator as a service until it is stopped: a worker, alone or with the HTTP API, or a folder watch."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from orchestrator.api.handlers import OrchestratorService
from orchestrator.exports.dataset.shard_work import ShardBuilder
from orchestrator.exports.pending_results import STORE_MEDIA, STORE_RESULT
from orchestrator.exports.results import ResultStore
from orchestrator.intake.bucket_listing import BucketListing
from orchestrator.intake.event_intake import EventIntake, RecordingFilter
from orchestrator.intake.folder_watch import FolderWatch
from orchestrator.intake.uploads import Uploads
from orchestrator.jobs import webhooks
from orchestrator.jobs.datasets import SHARD
from orchestrator.media.media import Media
from orchestrator.page.routes import make_app
from orchestrator.queue.procrastinate import Queue
from orchestrator.services.monitored import MonitoredService
from orchestrator.services.retention import apply_daily
from orchestrator.services.search_entries import keep_current
from orchestrator.session import Session
from orchestrator.webhooks.delivery import WebhookDelivery
from orchestrator.webhooks.sending import Sender
from orchestrator.webhooks.signing import Secrets
from orchestrator.worker.kinds import Kind
from orchestrator.worker.metrics import TranscriberMetrics, WorkerMetrics
from orchestrator.worker.progress import TranscriptionProgress
from orchestrator.worker.retry import RetryPolicy, exponential
from orchestrator.worker.stalled_jobs import Sweeper
from orchestrator.worker.transcriber_choice import Transcribers, transcriber_problems
from orchestrator.worker.transcription import transcription
from orchestrator.worker.worker import Worker
from reelscribe.http.access.allowed_hosts import AllowedHosts
from reelscribe.http.access.proxies import TrustedProxies
from reelscribe.http.peers.watch import PeerWatch
from reelscribe.http.server.serving import serve
from reelscribe.settings.loading import Settings

log = logging.getLogger(__name__)

LONGEST_RESULT_PAUSE_SECONDS = 540
"""Before a result that was refused is stored again; the queue puts nothing off for more than ten minutes."""


async def work_session(session: Session) -> int:
    """Run a worker until SIGTERM or SIGINT; its running jobs then go back to the queue. Returns the exit code."""
    section = session.settings.orchestrator
    service = MonitoredService("worker", session)
    most = section.max_running
    async with _working(session, service.stopping, [], service.registry) as transcribers:
        service.lacks = lambda: transcriber_problems(transcribers.states)
        log.info("worker: takes as many jobs as %s", f"max_running = {most}" if most else "the transcribers have slots")
        await service.run(section.worker_port)
    log.info("worker: stopped")
    return 0


async def serve_session(session: Session) -> int:
    """Run a worker and the HTTP API until SIGTERM or SIGINT. Returns the exit code."""
    await serve_service(session, make_service(session))
    return 0


async def watch_session(session: Session) -> int:
    """Submit what comes into the local folder of the bucket until SIGTERM or SIGINT. Returns the exit code."""
    chosen, service = session.settings, MonitoredService("watch", session)
    intake = _make_intake(session)
    watch = FolderWatch(chosen.paths.minio_data_path, intake, chosen.events.settle_seconds, service.registry)
    service.lacks, service.extractor = watch.problems, PeerWatch("the extractor", session.objects.problem)
    log.info("watch: looking at %s in %s", ", ".join(watch.buckets), chosen.paths.minio_data_path)
    async with _concurrently(session, service.stopping, "watch", watch.run(service.stopping)):
        await service.run(chosen.events.watch_port)
    log.info("watch: stopped")
    return 0


def make_service(session: Session) -> OrchestratorService:
    """What the handlers of this session share."""
    chosen = session.settings
    service = OrchestratorService(
        session.tokens,
        session.pool,
        session.queue,
        session.submissions,
        chosen.paths.bucket_name,
        _make_intake(session),
        session.deletions,
        stores_results=chosen.results.wanted,
        takes_webhooks=chosen.webhooks.secret_file is not None,
        hosts=AllowedHosts.of("orchestrator", chosen.orchestrator),
        objects=session.objects,
        media=Media(session.pool, chosen.listing_url, session.tokens, chosen.paths.bucket_name),
        uploads=Uploads(chosen, session.pool, session.submissions),
        resubmits=bool(chosen.events.reconcile_every),
    )
    service.access.proxies = TrustedProxies.of(chosen.auth)
    service.folders = _folders(chosen)
    return service


def _folders(chosen: Settings) -> dict[str, Path]:
    """Whose disks need room."""
    folders = {"[uploads] data_dir": chosen.uploads.data_dir}
    if chosen.database.url == "embedded":
        folders["[database] data_dir"] = chosen.database.data_dir
    return folders


async def serve_service(session: Session, service: OrchestratorService) -> None:
    """Run a worker and the HTTP API until ``service.stopping`` is set, by a signal or by the caller.

    Raises:
        SettingsError: the address is taken, or a file it names is unusable, or ``[results]`` lacks its ``[minio]``.
    """
    chosen = session.settings
    async with AsyncExitStack() as stack:
        stack.push_async_callback(service.media.close)
        stack.push_async_callback(service.uploads.close)
        further_kinds = [await _result_storing(session)] if chosen.results.bucket else []
        if chosen.results.media:
            further_kinds.append(await _media_storing(session))
        await _notify(session, service, stack)
        if every := chosen.events.reconcile_every:
            listing = BucketListing(session.pool, service.intake, session.objects, every, service.registry)
            await stack.enter_async_context(_concurrently(session, service.stopping, "listing", listing.run()))
        working = _working(session, service.stopping, further_kinds, service.registry)
        transcribers = await stack.enter_async_context(working)
        await stack.enter_async_context(
            _concurrently(session, service.stopping, "uploads", service.uploads.keep_clean())
        )
        service.transcribers = lambda: transcribers.states
        await serve(service, make_app(service), chosen.orchestrator, service.end_streams)


async def _notify(session: Session, service: OrchestratorService, stack: AsyncExitStack) -> None:
    """Have those notified of the end of transcriptions whom ``[webhooks]`` and submissions name, until the stack ends.

    Raises:
        SettingsError: the secret cannot be read.
    """
    section, public_url = session.settings.webhooks, session.settings.orchestrator.public_url
    async with session.pool.connection() as connection:
        await webhooks.configure(connection, section.urls, section.events)
    if section.secret_file is None:
        return
    sender = await stack.enter_async_context(Sender(Secrets.from_file(section.secret_file), section))
    bucket = session.settings.paths.bucket_name
    delivery = WebhookDelivery(session.pool, sender, section, public_url, bucket, service.registry)
    await stack.enter_async_context(_concurrently(session, service.stopping, "webhooks", delivery.run()))


def _make_intake(session: Session) -> EventIntake:
    delete = session.deletions.delete_removed if session.settings.events.when_object_removed == "delete" else None
    return EventIntake(session.pool, session.submissions, RecordingFilter(session.settings), session.objects, delete)


async def _result_storing(session: Session) -> Kind:
    """Storing finished transcripts in the ``[results]`` bucket, as a kind of work.

    Raises:
        SettingsError: ``[results]`` lacks its ``[minio]``.
    """
    from orchestrator.exports.result_bucket import ResultBucket  # 0.4 s that no other command should wait

    section, recordings = session.settings.results, RecordingFilter(session.settings).buckets
    assert section.bucket
    bucket = ResultBucket(session.settings.minio, section.bucket)
    store = ResultStore(session.pool, session.queue, bucket, section, recordings)
    await store.follow_transcriptions()
    return Kind(STORE_RESULT, 1, store.work, _result_retry())


async def _media_storing(session: Session) -> Kind:
    """Storing previews and sound in the buckets of ``[results]``, as a kind of work.

    Raises:
        SettingsError: ``[results]`` lacks its ``[minio]``, or would have its own results transcribed.
    """
    from orchestrator.exports.media_results import MediaStore
    from orchestrator.exports.result_bucket import ResultBucket

    chosen = session.settings
    store = MediaStore(
        session.pool,
        session.queue,
        {key: ResultBucket(chosen.minio, bucket, key) for key, (bucket, _) in chosen.results.media.items()},
        chosen.results,
        RecordingFilter(chosen).buckets,
        chosen.listing_url,
        session.tokens,
        chosen.orchestrator.max_attempts,
    )
    await store.follow_transcriptions()
    return Kind(STORE_MEDIA, 1, store.work, _result_retry())


def _result_retry() -> RetryPolicy:
    return RetryPolicy(max_failures=None, backoff=exponential(first=2, longest=LONGEST_RESULT_PAUSE_SECONDS))


@asynccontextmanager
async def _working(
    session: Session, stopping: asyncio.Event, further_kinds: list[Kind], registry: CollectorRegistry
) -> AsyncIterator[Transcribers]:
    """A worker that runs during the block, and its transcribers. Every kind of work that it takes is listed here."""
    section, pool = session.settings.orchestrator, session.pool
    queue = Queue(pool, section.worker_timeout)
    await queue.open()
    async with Transcribers(section.transcriber_urls, session.tokens, section.progress_timeout) as transcribers:
        kinds = [
            transcription(
                TranscriptionProgress(pool, queue),
                transcribers,
                session.settings.paths.bucket_name,
                section.max_running,
                RetryPolicy(section.max_attempts),
            ),
            *further_kinds,
        ]
        if section.max_shards:
            builder = ShardBuilder(pool, session.settings.listing_url, session.tokens)
            kinds.append(Kind(SHARD, section.max_shards, builder.work, RetryPolicy(section.max_attempts)))
        registry.register(TranscriberMetrics(lambda: transcribers.states))
        sweeper = Sweeper(pool, queue, section.max_attempts)
        worker = Worker(pool, queue, kinds, sweeper, WorkerMetrics(registry))
        async with (
            _concurrently(session, stopping, "transcribers", transcribers.watch()),
            _concurrently(session, stopping, "worker", worker.run()),
            _concurrently(session, stopping, "search index", keep_current(pool)),
            _concurrently(session, stopping, "retention", apply_daily(session)),
        ):
            yield transcribers


@asynccontextmanager
async def _concurrently(
    session: Session, stopping: asyncio.Event, name: str, work: Coroutine[Any, Any, None]
) -> AsyncIterator[None]:
    """Work during the block, until ``stopping`` is set; should it fail, that is set, and its error raised. To end, it
    has ``grace_seconds``.
    """
    working = asyncio.create_task(work, name=name)
    working.add_done_callback(lambda _: stopping.set())
    ending = asyncio.create_task(_end(working, stopping, session.settings.orchestrator.grace_seconds))
    try:
        yield
    finally:
        stopping.set()
        await asyncio.wait([ending])
    if working.done() and not working.cancelled():
        working.result()


async def _end(working: asyncio.Task[None], stopping: asyncio.Event, grace_seconds: float) -> None:
    await stopping.wait()
    working.cancel()
    await asyncio.wait([working], timeout=grace_seconds)
    if not working.done():
        log.warning("%s: the database does not answer; left unfinished, other workers continue it", working.get_name())
