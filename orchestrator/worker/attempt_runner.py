"""One attempt at a job of any kind: begun, done, and its end written down."""

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Coroutine

from psycopg.errors import ProgramLimitExceeded

from orchestrator.database.pool import CONNECTION_ERRORS, Pool
from orchestrator.database.reconnect import retry_on_reconnect
from orchestrator.errors import BucketAway, NoTranscriber, Superseded, Unavailable
from orchestrator.jobs import transitions
from orchestrator.jobs.attempts import Attempt, close_receipt
from orchestrator.queue.procrastinate import Queue
from orchestrator.worker.away_buckets import AwayBuckets
from orchestrator.worker.kinds import Kind
from orchestrator.worker.metrics import WorkerMetrics
from orchestrator.worker.retry import GiveUp, ResumeFrom, Retry
from reelscribe.errors import InternalError, ServiceError
from reelscribe.log_context import REQUEST_ID, SAVEPATH, Fact, noting

log = logging.getLogger(__name__)


REASON_SECONDS = 10.0
"""How long a reason for waiting is left as it is, so that two that alternate are not written again and again."""

SUMMARY_SECONDS = 600.0

NO_SLOT = "other jobs have all slots; it continues in the next one that is free"


class AttemptRunner:
    """Runs jobs of one kind; any number concurrently."""

    def __init__(self, pool: Pool, queue: Queue, kind: Kind, metrics: WorkerMetrics) -> None:
        self._pool = pool
        self._queue = queue
        self._kind = kind
        self._metrics = metrics
        self._refused: dict[int, tuple[str, float]] = {}
        """By job: why it waits, and until which monotonic second that is known."""
        self._summary_due = 0.0
        self.away_buckets = AwayBuckets(kind, queue)

    def log_waiting(self) -> None:
        """Log how many jobs wait, and for what, if some do for :data:`SUMMARY_SECONDS` since the last time."""
        now = time.monotonic()
        reasons = [reason for reason, until in self._refused.values() if now < until]
        if not reasons or not self._summary_due:
            self._summary_due = now + SUMMARY_SECONDS
        elif now >= self._summary_due:
            self._summary_due = now + SUMMARY_SECONDS
            [(reason, _)] = Counter(reasons).most_common(1)
            log.warning("%d jobs still wait: %s", len(reasons), reason)

    async def run(self, queue_job: int, id: int, attempt: Attempt | None = None) -> bool:
        """Do one attempt; whether its entry has left the queue. Cancelling this hands the job back to the queue.

        Args:
            attempt: as the queue has begun it; None if it could not.

        Raises:
            psycopg.OperationalError: the database is gone; the job keeps its position in the queue.
        """
        with noting(job=id):
            return await self._run(queue_job, id, attempt)

    async def _run(self, queue_job: int, id: int, attempt: Attempt | None) -> bool:
        try:
            attempt = attempt or await self._begin(queue_job, id)
        except asyncio.CancelledError:
            await _despite_cancellation(self._hand_back_if_begun(queue_job, id))
            raise
        if attempt is None:
            return False
        with noting(**_facts(attempt)):
            try:
                return await self._until_decided(attempt)
            except Superseded as superseded:
                log.info("%s", superseded)
                return False
            except asyncio.CancelledError:
                await _despite_cancellation(self._hand_back(attempt))
                raise

    async def _work(self, attempt: Attempt) -> bool:
        """Work, as soon as what that needs is available; whether that has taken the job out of the queue. The reason
        for waiting is written when it changes.
        """
        written, written_at = "", 0.0
        try:
            while True:
                attempt.left_queue = False
                try:
                    await self._kind.work(attempt)
                    outcome = "done" if attempt.left_queue else "handed_back"
                    self._metrics.attempts.labels(self._kind.name, outcome).inc()
                    return attempt.left_queue
                except Unavailable as reason:
                    attempt.waited = True
                    now = time.monotonic()
                    self._refused[attempt.id] = reason.message, now + reason.retry_after + REASON_SECONDS
                    if not written or (reason.message != written and now > written_at + REASON_SECONDS):
                        await self._wait(attempt, reason)
                        written, written_at = reason.message, now
                    if await self._pause(attempt, reason):
                        written = ""
        finally:
            self._refused.pop(attempt.id, None)
            self.away_buckets.forget(attempt)

    async def _pause(self, attempt: Attempt, reason: Unavailable) -> bool:
        """Wait until what a job needs may be there; whether another reason for waiting was written meanwhile."""
        if not isinstance(reason, BucketAway):
            await asyncio.sleep(reason.retry_after)
            return False
        slots, entry = self._queue.slots, attempt.queue_job
        is_back = await self.away_buckets.wait(attempt, reason.retry_after)
        writes = not slots.want(entry) and is_back
        if writes:
            await self._wait(attempt, NoTranscriber(NO_SLOT, reason.retry_after))
        await slots.wait(entry)
        return writes

    async def _until_decided(self, attempt: Attempt) -> bool:
        try:
            return await self._work(attempt)
        except ServiceError as failure:
            await self._decide(attempt, failure)
        except ProgramLimitExceeded as too_much:  # an OperationalError by psycopg, but no new connection cures it
            await self._decide(attempt, InternalError(f"the database refused what was to be stored: {too_much}"))
        except (*CONNECTION_ERRORS, Superseded):
            raise
        except Exception as bug:
            log.exception("%s", _name(attempt))
            message = f"the orchestrator failed with {type(bug).__name__}; its log has the details"
            await self._decide(attempt, InternalError(message))
        return False

    async def _decide(self, attempt: Attempt, failure: ServiceError) -> None:
        decision = self._kind.retry.decide(attempt, failure)
        outcome = "retried" if isinstance(decision, Retry) else "failed"
        self._metrics.attempts.labels(self._kind.name, outcome).inc()
        self._metrics.failures.labels(self._kind.name, failure.code).inc()
        if decision.resume_from is not ResumeFrom.PROGRESS:
            await self._kind.rewind(attempt, decision.resume_from)
        match decision:
            case Retry(delay_seconds):
                log.warning("%s: %s; next try in %.0f s", _name(attempt), failure.message, delay_seconds)
                await self._retry(attempt, failure, delay_seconds)
            case GiveUp(reason):
                log.warning("%s failed: %s", _name(attempt), reason.message)
                await self._fail(attempt, reason)

    @retry_on_reconnect
    async def _begin(self, queue_job: int, id: int) -> Attempt | None:
        async with self._pool.connection() as connection:
            return await transitions.begin(connection, queue_job, id)

    @retry_on_reconnect
    async def _wait(self, attempt: Attempt, reason: ServiceError) -> None:
        async with self._pool.connection() as connection:
            await transitions.wait(connection, attempt, reason)

    @retry_on_reconnect
    async def _retry(self, attempt: Attempt, failure: ServiceError, delay_seconds: float) -> None:
        async with self._pool.connection() as connection:
            await transitions.wait_for_retry(connection, attempt, failure)
            await close_receipt(connection, attempt, failure)
            await self._queue.put(connection, [attempt.id], delay_seconds)

    @retry_on_reconnect
    async def _fail(self, attempt: Attempt, reason: ServiceError) -> None:
        async with self._pool.connection() as connection:
            await transitions.fail(connection, attempt, reason)
            await close_receipt(connection, attempt, reason)

    async def _hand_back_if_begun(self, queue_job: int, id: int) -> None:
        async with self._pool.connection() as connection:
            await self._queue.put(connection, await transitions.hand_back_if_begun(connection, queue_job, id))

    async def _hand_back(self, attempt: Attempt) -> None:
        try:
            async with self._pool.connection() as connection:
                await transitions.hand_back(connection, attempt)
                await self._queue.put(connection, [attempt.id])
            self._metrics.attempts.labels(self._kind.name, "handed_back").inc()
            log.info("%s: back in the queue at %.1f s", _name(attempt), attempt.progress_seconds)
        except Superseded as superseded:
            log.info("%s", superseded)


async def _despite_cancellation(last_write: Coroutine[None, None, None]) -> None:
    """Await it to its end if the task is cancelled once more, so that the entry of the queue is decided only after it;
    a database that hangs is given up at the next cancellation.
    """
    writing = asyncio.create_task(last_write)
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await writing
        raise


def _facts(attempt: Attempt) -> dict[str, Fact]:
    """What the log says of an attempt; its request id is that of what it asks of other services, and in their logs."""
    facts: dict[str, Fact] = {SAVEPATH: attempt.savepath} if attempt.savepath else {}
    return {
        **facts,
        "attempt": attempt.number,
        REQUEST_ID: f"job-{attempt.id}.{attempt.number}-{secrets.token_hex(4)}",
    }


def _name(attempt: Attempt) -> str:
    """The job for people."""
    return attempt.savepath or f"job {attempt.id} ({attempt.kind})"
