"""A kind of work: what the queue, the worker and the sweep of stalled jobs need to know of it, and nothing more."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orchestrator.jobs.attempts import Attempt
from orchestrator.worker.retry import ResumeFrom, RetryPolicy
from reelscribe.errors import ServiceError


async def _nothing_to_drop(attempt: Attempt, resume_from: ResumeFrom) -> None:
    """For work that is done in one step."""


def _never_away(bucket: str) -> ServiceError | None:
    """For work that needs no bucket, or fails without it."""
    return None


@dataclass(frozen=True)
class Kind:
    """One kind of work.

    Attributes:
        name: of its jobs (``jobs.kind``) and of its sub-queue.
        max_running: jobs of it that one worker runs at the same time, at most.
        work: does one attempt. It calls ``transitions.finish`` in the transaction of its last write, so that nothing
            looks done that is not, or hands the job back; what it raises says why it could not:
            :class:`orchestrator.errors.Unavailable`: it is called again after a pause, and no attempt is counted;
            any other :class:`reelscribe.errors.ServiceError`: ``retry`` decides.
        retry: decides what follows a failure.
        rewind: drops what is stored from where the next try starts, if that is before the progress.
        room: how many it may run now, if that changes; ``max_running`` bounds it.
        away: why no recording of a bucket can be read now; None if one may be. Its jobs leave their slots to others as
            long as ``work`` raises :class:`orchestrator.errors.BucketAway` for the first of them.
    """

    name: str
    max_running: int
    work: Callable[[Attempt], Awaitable[None]]
    retry: RetryPolicy
    rewind: Callable[[Attempt, ResumeFrom], Awaitable[None]] = _nothing_to_drop
    room: Callable[[], int] | None = None
    away: Callable[[str], ServiceError | None] = _never_away

    def most(self) -> int:
        """Jobs of it that a worker may run at the same time now."""
        return min(self.max_running, self.room()) if self.room else self.max_running
