"""One job from the queue: ask a transcriber, store what arrives, and decide what its end means."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing

from psycopg.errors import ProgramLimitExceeded

from orchestrator.database.pool import TROUBLE
from orchestrator.errors import NoTranscriber, ObjectChanged, Superseded
from orchestrator.worker import retry
from orchestrator.worker.progress import Attempt, Attempts
from orchestrator.worker.transcriber_client import NOT_THE_JOBS_FAULT, RETRY_SECONDS, Stream, Transcribers
from reelscribe.contracts.events import Failed, Finished, Progress, Segment, Started
from reelscribe.errors import InternalError, RemoteError, ServiceError, StreamCut

log = logging.getLogger(__name__)

backoff_seconds = retry.exponential(first=2, longest=300)
"""How long a job waits after this many transient failures: 2 s, 4 s, 8 s, … up to 5 min, and up to 2 s more."""


class Dispatcher:
    """Runs jobs; any number at once.

    Args:
        default_bucket: the one that the extractor takes when none is named.
        max_attempts: tries of one job in a row that bring it no further before it is failed.
        backoff: seconds to wait after a number of failures.
    """

    def __init__(
        self,
        attempts: Attempts,
        transcribers: Transcribers,
        default_bucket: str,
        max_attempts: int,
        backoff: Callable[[int], float] = backoff_seconds,
    ) -> None:
        self._attempts = attempts
        self._transcribers = transcribers
        self._default_bucket = default_bucket
        self._max_attempts = max_attempts
        self._backoff = backoff

    async def run(self, queue_job: int, transcription: int) -> None:
        """Bring a job one attempt further. Cancelling this hands the job back to the queue.

        Raises:
            psycopg.OperationalError: the database is gone; the job keeps its place in the queue.
        """
        attempt = await self._attempts.begin(queue_job, transcription)
        if attempt is None:
            return
        try:
            await self._until_decided(attempt)
        except Superseded as superseded:
            log.info("%s", superseded)
        except asyncio.CancelledError:
            await asyncio.shield(self._hand_back(attempt))
            raise

    async def _until_decided(self, attempt: Attempt) -> None:
        try:
            while True:
                try:
                    await self._transcribe(attempt)
                    return
                except NoTranscriber as obstacle:
                    if attempt.progress_seconds > attempt.start_seconds:
                        await self._hand_back(attempt)  # what comes next is another part of the receipt
                        return
                    log.info("%s waits: %s", attempt.savepath, obstacle.message)
                    await self._attempts.waiting(attempt, obstacle)
                    await asyncio.sleep(obstacle.retry_after)
        except ServiceError as failure:
            await self._decide(attempt, failure)
        except ProgramLimitExceeded as too_much:  # says psycopg, an OperationalError, but no new connection cures it
            await self._decide(attempt, InternalError(f"the database refused the transcript: {too_much}"))
        except (*TROUBLE, Superseded):
            raise
        except Exception as bug:
            log.exception("%s", attempt.savepath)
            told = f"the orchestrator failed with {type(bug).__name__}; its log has the details"
            await self._decide(attempt, InternalError(told))

    async def _decide(self, attempt: Attempt, failure: ServiceError) -> None:
        failures = attempt.failures + 1
        if isinstance(failure, ObjectChanged):
            await self._attempts.start_over(attempt)
        if failure.code == "past_the_end" and attempt.progress_seconds > 0:
            # All was stored but the end, or the recording has been replaced by a shorter one.
            await self._attempts.step_back(attempt, attempt.previous_seconds)
            await self._attempts.try_again(attempt, failure, 0)
        elif not failure.retryable:
            log.warning("%s failed: %s", attempt.savepath, failure.message)
            await self._attempts.fail(attempt, failure)
        elif failures >= self._max_attempts:
            log.warning("%s failed after %d attempts: %s", attempt.savepath, failures, failure.message)
            await self._attempts.fail(attempt, _exhausted(failure, failures))
        else:
            delay = self._backoff(failures)
            log.warning("%s: %s; next try in %.0f s", attempt.savepath, failure.message, delay)
            await self._attempts.try_again(attempt, failure, delay)

    async def _transcribe(self, attempt: Attempt) -> None:
        async with self._transcribers.transcribe(attempt.request(self._default_bucket)) as stream:
            log.info("%s: from %.1f s at %s", attempt.savepath, attempt.progress_seconds, stream.url)
            began = time.monotonic()
            await self._store(attempt, stream)
        heard, took = attempt.progress_seconds - attempt.start_seconds, time.monotonic() - began
        log.info("%s: done, %d segments, %.1f x real time", attempt.savepath, attempt.segments, heard / max(took, 1e-3))

    async def _store(self, attempt: Attempt, stream: Stream) -> None:
        """Store a stream of events. Segments wait for the next progress event, so that none is stored twice: a later
        attempt starts at the progress that was committed with them.
        """
        pending: list[Segment] = []
        async with aclosing(stream.events()) as events:
            async for event in events:
                match event:
                    case Started():
                        await self._attempts.started(attempt, stream.url, event)
                    case Segment():
                        pending.append(event)
                    case Progress():
                        ready = [segment for segment in pending if segment.start < event.seconds]
                        pending = pending[len(ready) :]
                        await self._attempts.progress(attempt, ready, event.seconds)
                    case Finished():
                        await self._attempts.finished(attempt, pending, event)
                        return
                    case Failed():
                        raise _failure(event)
        raise StreamCut(f"the events of {stream.url} ended without saying how the job ended")

    async def _hand_back(self, attempt: Attempt) -> None:
        try:
            await self._attempts.hand_back(attempt)
            log.info("%s: back in the queue at %.1f s", attempt.savepath, attempt.progress_seconds)
        except Superseded as superseded:
            log.info("%s", superseded)


def _failure(event: Failed) -> ServiceError:
    if event.code in NOT_THE_JOBS_FAULT:
        return NoTranscriber(event.message, RETRY_SECONDS)
    return _remote(event.code, event.message, event.retryable, event.details)


def _exhausted(failure: ServiceError, failures: int) -> ServiceError:
    return _remote(failure.code, f"gave up after {failures} attempts: {failure.message}", False, failure.details)


def _remote(code: str, message: str, retryable: bool, details: dict[str, object]) -> RemoteError:
    error = RemoteError(502, code, message, retryable)
    error.details = details
    return error
