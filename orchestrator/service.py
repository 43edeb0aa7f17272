"""Machine A as a service: a worker, alone or with the HTTP API, until it is told to stop."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from machine.auth import Tokens
from machine.server import serve
from orchestrator.app import make_app
from orchestrator.handlers import OrchestratorMachine
from orchestrator.session import Session
from orchestrator.worker import make_worker

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
    await serve_machine(session, make_machine(session))
    return 0


def make_machine(session: Session) -> OrchestratorMachine:
    """Machine A of this session.

    Raises:
        SettingsError: the token file is unusable.
    """
    tokens = Tokens.from_file(session.settings.auth.token_file)
    return OrchestratorMachine(tokens, session.pool, session.desk, session.settings.paths.bucket_name)


async def serve_machine(session: Session, machine: OrchestratorMachine) -> None:
    """Run a worker and the HTTP API until ``machine.stopping`` is set, by a signal or by the caller.

    Raises:
        SettingsError: the address is taken, or a file it names is unusable.
    """
    async with _working(session, machine.stopping):
        await serve(machine, make_app(machine), session.settings.orchestrator)


@asynccontextmanager
async def _working(session: Session, stopping: asyncio.Event) -> AsyncIterator[None]:
    """A worker beside what happens in the block; should it fail, ``stopping`` is set, and its error raised."""
    async with make_worker(session.settings, session.pool, session.queue) as worker:
        working = asyncio.create_task(worker.run(), name="worker")
        working.add_done_callback(lambda _: stopping.set())
        try:
            yield
        finally:
            working.cancel()
            await asyncio.wait([working])
        if not working.cancelled():
            working.result()
