"""The orchestrator as a service: a worker, alone or with the HTTP API, until it is told to stop; or as a watch."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from orchestrator.api.app import make_app
from orchestrator.api.handlers import OrchestratorService
from orchestrator.intake.bucket_listing import Reconciler
from orchestrator.intake.event_intake import Intake, Selection
from orchestrator.intake.folder_watch import FolderWatch
from orchestrator.session import Session
from orchestrator.worker.worker import make_worker
from reelscribe.http.auth import Tokens
from reelscribe.http.server import serve

log = logging.getLogger(__name__)


async def work_session(session: Session) -> int:
    """Run a worker until SIGTERM or SIGINT; its running jobs then go back to the queue. Returns the exit code."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with _working(session, stopping):
        log.info("worker: takes up to %d jobs at once", session.settings.orchestrator.max_running)
        await stopping.wait()
        log.info("worker: stopping")
    log.info("worker: stopped")
    return 0


async def serve_session(session: Session) -> int:
    """Run a worker and the HTTP API until SIGTERM or SIGINT. Returns the exit code."""
    await serve_service(session, make_service(session))
    return 0


async def watch_session(session: Session) -> int:
    """Submit what comes into the local folder of the bucket until SIGTERM or SIGINT. Returns the exit code."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    chosen = session.settings
    watch = FolderWatch(chosen.paths.minio_data_path, _make_intake(session), chosen.events.settle_seconds)
    log.info("watch: looking at %s in %s", ", ".join(watch.buckets), chosen.paths.minio_data_path)
    await watch.run(stopping)
    log.info("watch: stopped")
    return 0


def make_service(session: Session) -> OrchestratorService:
    """The orchestrator of this session.

    Raises:
        SettingsError: the token file is unusable.
    """
    return OrchestratorService(
        Tokens.from_file(session.settings.auth.token_file),
        session.pool,
        session.queue,
        session.desk,
        session.settings.paths.bucket_name,
        _make_intake(session),
        stores_results=session.settings.results.bucket is not None,
    )


async def serve_service(session: Session, service: OrchestratorService) -> None:
    """Run a worker and the HTTP API until ``machine.stopping`` is set, by a signal or by the caller.

    Raises:
        SettingsError: the address is taken, or a file it names is unusable, or ``[results]`` lacks its ``[minio]``.
    """
    chosen = session.settings
    async with AsyncExitStack() as stack:
        if chosen.results.bucket:
            from orchestrator.exports.results import make_result_writer  # 0.4 s that no other command should wait

            writer = make_result_writer(session.pool, chosen.minio, chosen.results)
            await stack.enter_async_context(_beside(session, service.stopping, "results", writer.run()))
        if every := chosen.events.reconcile_every:
            reconciler = Reconciler(session.pool, service.intake, session.objects, every, service.registry)
            await stack.enter_async_context(_beside(session, service.stopping, "reconciler", reconciler.run()))
        await stack.enter_async_context(_working(session, service.stopping))
        await serve(service, make_app(service), chosen.orchestrator, service.end_streams)


def _make_intake(session: Session) -> Intake:
    return Intake(session.pool, session.desk, Selection(session.settings), session.objects)


@asynccontextmanager
async def _working(session: Session, stopping: asyncio.Event) -> AsyncIterator[None]:
    """A worker beside what happens in the block."""
    making = make_worker(session.settings, session.pool, session.queue)
    async with making as worker, _beside(session, stopping, "worker", worker.run()):
        yield


@asynccontextmanager
async def _beside(
    session: Session, stopping: asyncio.Event, name: str, work: Coroutine[Any, Any, None]
) -> AsyncIterator[None]:
    """Work beside what happens in the block until ``stopping`` is set; should it fail, that is set, and its error
    raised. To end, it has ``grace_seconds``.
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
        log.warning("%s: the database does not answer; left unfinished, others go on with it", working.get_name())
