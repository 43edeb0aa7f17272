"""What follows a failed attempt: another try, from where and after which pause, or the end of the job."""

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from tenacity import AsyncRetrying, RetryCallState, wait_exponential, wait_random

from orchestrator.errors import ObjectChanged
from orchestrator.jobs.attempts import Attempt
from reelscribe.errors import RemoteError, ServiceError

Backoff = Callable[[int], float]
"""Seconds to wait after a number of failures."""


def exponential(first: float, longest: float) -> Backoff:
    """Seconds to wait after the n-th failure: ``first``, twice that, … up to ``longest``, and up to ``first`` more.

    The random part keeps what failed together from being tried again together.
    """
    wait = wait_exponential(multiplier=first, max=longest) + wait_random(0, first)

    def seconds(failures: int) -> float:
        state = RetryCallState(AsyncRetrying(), None, (), {})
        state.attempt_number = failures
        return wait(state)

    return seconds


class ResumeFrom(Enum):
    """Where the next try starts."""

    PROGRESS = auto()
    """After all that is stored."""
    PREVIOUS_PROGRESS = auto()
    """Before the segments that were stored last."""
    START = auto()
    """At the beginning; what is stored is dropped."""


class Retry(NamedTuple):
    """The job is tried again."""

    delay_seconds: float
    resume_from: ResumeFrom = ResumeFrom.PROGRESS


class GiveUp(NamedTuple):
    """The job has failed for good, with this reason; should a person have it tried again, from there."""

    reason: ServiceError
    resume_from: ResumeFrom = ResumeFrom.PROGRESS


Decision = Retry | GiveUp


TRANSIENT_BACKOFF = exponential(first=2, longest=300)


class RetryPolicy:
    """Decides for one kind of work.

    Args:
        max_failures: in a row, without progress, after which a job is given up; None: it never is, whatever the error.
        backoff: pause before the next try.
    """

    def __init__(self, max_failures: int | None, backoff: Backoff = TRANSIENT_BACKOFF) -> None:
        self._max_failures = max_failures
        self._backoff = backoff

    def decide(self, attempt: Attempt, failure: ServiceError) -> Decision:
        """What follows this failure of this attempt."""
        failures = attempt.failures + 1
        if failure.code == "past_the_end" and attempt.progress_seconds > 0:
            # All was stored but the end, or the recording has been replaced by a shorter one.
            return Retry(0, ResumeFrom.PREVIOUS_PROGRESS)
        if self._max_failures is None:
            return Retry(self._backoff(failures))
        if not failure.retryable:
            return GiveUp(failure)
        resume_from = ResumeFrom.START if isinstance(failure, ObjectChanged) else ResumeFrom.PROGRESS
        if failures >= self._max_failures:
            return GiveUp(_exhausted(failure, failures), resume_from)
        return Retry(self._backoff(failures), resume_from)


def _exhausted(failure: ServiceError, failures: int) -> ServiceError:
    error = RemoteError(502, failure.code, f"gave up after {failures} attempts: {failure.message}", False)
    error.details = failure.details
    return error
