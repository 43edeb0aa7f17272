"""Submit, retry and cancel: each is one transaction over jobs and queue."""

import asyncio
import json
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Literal, NamedTuple

from psycopg.errors import ForeignKeyViolation, UniqueViolation

from orchestrator.database.pool import Pool
from orchestrator.intake.bucket import Objects
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs import removed_objects, transitions, versions, webhooks
from orchestrator.jobs.models import Job, Options
from orchestrator.jobs.object_changes import Identity
from orchestrator.queue.entries import QueueEntries
from reelscribe.errors import ServiceError

log = logging.getLogger(__name__)

CHUNK = 5_000
"""Savepaths of one transaction: few enough that no worker notices waiting for it."""
AT_A_TIME = 3
"""Chunks of a long submission that are written concurrently: while PostgreSQL writes some, the next is read."""
TRIES = 3
WORTH_ANALYZING = 5_000
"""New jobs after which PostgreSQL's planner should look at the tables again."""

Outcome = Literal["new", "changed", "again", "known", "done", "missing"]
"""What a submission does with a savepath: makes a job (``changed``: a new version, for the object is another one),
queues one again, or finds it unfinished, done, or done of an object that is gone by now. In a dry run, an object of
which there is no job can be missing too."""

NOT_ASKED = Identity()

Requested = Mapping[str, Identity | None]
"""Savepaths, each with the identity of its object if a listing has reported it."""


class Submitted(NamedTuple):
    """A job and what the submission did with it."""

    job: Job
    outcome: Outcome


class SubmittedJobs(NamedTuple):
    """All jobs of a submission; ``warning``: why objects could not be compared, so that what is done counts as such."""

    jobs: list[Submitted]
    warning: str | None


class Submissions:
    """Takes requests to transcribe, to retry and to cancel.

    Args:
        objects: knows whether an object has changed; without it, none has.
    """

    def __init__(self, pool: Pool, queue: QueueEntries, objects: Objects | None = None) -> None:
        self._pool = pool
        self._queue = queue
        self._objects = objects

    async def submit(
        self,
        bucket: str,
        savepaths: Sequence[str],
        options: Options,
        priority: int | None = None,
        force: bool = False,
        webhook: str | None = None,
    ) -> list[Submitted]:
        """Have savepaths transcribed, in the order of their first mention; see :class:`Submission`."""
        return (await self.submit_all(bucket, savepaths, options, priority, force, webhook)).jobs

    async def submit_all(
        self,
        bucket: str,
        savepaths: Sequence[str],
        options: Options,
        priority: int | None = None,
        force: bool = False,
        webhook: str | None = None,
        force_until: int | None = None,
    ) -> SubmittedJobs:
        """The same, and whether objects could be compared; one that is refused has queued nothing at all."""
        submission = self.begin(bucket, options, priority, force, webhook=webhook, force_until=force_until)
        submitted: list[Submitted] = []
        size = CHUNK if webhook is None else max(1, len(savepaths))
        for requested in _chunks(dict.fromkeys(savepaths), size):
            outcomes = await submission.take(requested)
            async with self._pool.connection() as connection:
                jobs = await job_queries.current_jobs(connection, bucket, list(requested), options)
            by_savepath = {job.savepath: job for job in jobs}
            submitted += [
                Submitted(job, outcome) for savepath, outcome in outcomes.items() if (job := by_savepath.get(savepath))
            ]  # what is not there has just been forgotten
        reason = submission.unavailable_reason
        if reason:
            log.warning("what is done counts as unchanged: %s", reason.message)
        return SubmittedJobs(submitted, reason.message if reason else None)

    def begin(
        self,
        bucket: str,
        options: Options,
        priority: int | None = None,
        force: bool = False,
        dry_run: bool = False,
        webhook: str | None = None,
        force_until: int | None = None,
    ) -> "Submission":
        """A submission that comes in chunks."""
        return Submission(
            self._pool, self._queue, self._objects, bucket, options, priority, force, dry_run, webhook, force_until
        )

    async def retry(self, ids: Sequence[int]) -> list[int]:
        """Queue failed and cancelled jobs again; the ids of those that were."""
        async with self._pool.connection() as connection:
            reopened = await transitions.reopen(connection, ids)
            await self._queue.put(connection, reopened)
        return reopened

    async def retry_incomplete(self, ids: Sequence[int]) -> list[int]:
        """Accept that the recordings of failed and cancelled jobs are cut: jobs with that option replace them. The ids
        of those that were replaced.
        """
        async with self._pool.connection() as connection:
            jobs = [
                job
                for job in await job_queries.jobs_by_id(connection, ids)
                if job.state in transitions.REOPEN.sources and not job.options.get("allow_incomplete")
            ]
        groups: dict[tuple[str, int, str], list[Job]] = {}
        for job in jobs:
            groups.setdefault((job.bucket, job.priority, json.dumps(job.options, sort_keys=True)), []).append(job)
        for (bucket, priority, _), alike in groups.items():
            options = Options(**{**alike[0].options, "allow_incomplete": True})
            submission = self.begin(bucket, options, priority)
            await submission.take({job.savepath: None for job in alike})
        replaced = [job.id for job in jobs]
        async with self._pool.connection() as connection:
            await transitions.supersede(connection, replaced)
        return replaced

    async def cancel(self, ids: Sequence[int]) -> list[int]:
        """Cancel unfinished jobs, running ones included; the ids of those that were."""
        async with self._pool.connection() as connection:
            cancelled = await transitions.cancel(connection, ids)
            await self._queue.withdraw(connection, [job for job in cancelled.values() if job is not None])
        return list(cancelled)


class Submission:
    """Has savepaths transcribed, a chunk at a time; what is new in a chunk is one transaction, and the rest another,
    except that a chunk with a webhook is one altogether.

    The same object with the same options is one job, however often it is submitted: one that is unfinished or done is
    left as it is, one that failed or was cancelled continues where it stopped, and if the object has changed since it
    was transcribed, or while it is, a new version is made. The old transcript is kept until the new one is done, and
    then until it is pruned.

    Attributes:
        bucket: that the savepaths are in.
        unavailable_reason: why the extractor could not be asked about objects, which then count as unchanged.

    Args:
        priority: of all jobs that are not finished then; None: that of existing or replaced ones, or 0.
        force: make a new version of everything.
        dry_run: change nothing.
        webhook: URL that is notified of the end of each job; of one that has ended, now.
        force_until: id of the newest job that force replaces; None: the newest that there is when the first chunk is
            taken.
    """

    def __init__(
        self,
        pool: Pool,
        queue: QueueEntries,
        objects: Objects | None,
        bucket: str,
        options: Options,
        priority: int | None,
        force: bool,
        dry_run: bool,
        webhook: str | None,
        force_until: int | None,
    ) -> None:
        self.bucket = bucket
        self.unavailable_reason: ServiceError | None = None
        self._pool = pool
        self._queue = queue
        self._objects = objects
        self._options = options
        self._priority = priority
        self._force = force
        self._dry_run = dry_run
        self._webhook = webhook
        self._begun_after = force_until
        self._made = 0

    async def take(self, requested: Requested) -> dict[str, Outcome]:
        """Take up to :data:`CHUNK` savepaths; what is done with each.

        Raises:
            BadRequest: a job has too many webhooks already; nothing of the chunk is queued.
        """
        if self._begun_after is None:
            async with self._pool.connection() as connection:
                newest = await versions.newest_id(connection)
            if self._begun_after is None:  # else the other chunk was faster, and may have made jobs already
                self._begun_after = newest
        first = set() if self._dry_run else await self._take_unrecorded(list(requested))
        recorded = {savepath: identity for savepath, identity in requested.items() if savepath not in first}
        outcomes = await self._take_recorded(recorded) if recorded else {}
        return {savepath: outcomes.get(savepath, "new") for savepath in requested}

    async def _take_unrecorded(self, savepaths: list[str]) -> set[str]:
        """Those of which nothing was known: they are new whatever the request is. None, if another submission has just
        recorded one of them, or one that was recorded may refuse the webhook: all are then looked at one by one.
        """
        priority = self._priority or 0
        try:
            async with self._pool.connection() as connection:
                recorded = await self._queue.put_first(connection, self.bucket, savepaths, self._options, priority)
                if self._webhook and recorded:
                    await connection.rollback()
                    return set()
                first = set(savepaths).difference(recorded)
                if self._webhook:
                    jobs = await versions.current(connection, self.bucket, list(first), self._options)
                    await webhooks.subscribe(connection, [job.id for job in jobs.values()], self._webhook)
        except UniqueViolation:
            return set()
        self._made += len(first)
        return first

    async def _take_recorded(self, requested: Requested) -> dict[str, Outcome]:
        async with self._pool.connection() as connection:
            known = await versions.current(connection, self.bucket, list(requested), self._options)
        outcomes = await self._outcomes(requested, known)
        if self._dry_run:
            return outcomes
        forgotten = {savepath: requested[savepath] for savepath in await self._carry_out(outcomes, known)}
        return outcomes | (await self._take_recorded(forgotten) if forgotten else {})

    async def finish(self) -> None:
        """To be awaited after the last chunk."""
        if self._made >= WORTH_ANALYZING:
            async with self._pool.connection() as connection:
                await job_queries.analyze(connection)

    async def _outcomes(self, requested: Requested, known: Mapping[str, versions.Current]) -> dict[str, Outcome]:
        identities = await self._identities(requested, known)

        def outcome(savepath: str) -> Outcome:
            if savepath not in known:
                return "missing" if identities.get(savepath, NOT_ASKED) is None else "new"
            id, state, transcribed = known[savepath]
            if self._renews(id):
                return "new"
            if state in ("failed", "cancelled"):
                return "again"
            if savepath not in identities:
                return "done" if state == "done" else "known"
            now = identities[savepath]
            if now is None:
                return "missing"
            return "changed" if now.differs_from(transcribed) else "done" if state == "done" else "known"

        return {savepath: outcome(savepath) for savepath in requested}

    def _renews(self, id: int) -> bool:
        """Whether force makes a new version of it: not of one that an earlier chunk has just made."""
        assert self._begun_after is not None
        return self._force and id <= self._begun_after

    async def _identities(
        self, requested: Requested, known: Mapping[str, versions.Current]
    ) -> dict[str, Identity | None]:
        """Of the objects, as they are now, that have a transcript or are being transcribed; None if the object of a
        transcript is gone.

        The extractor is not asked about new ones, except in a dry run: those that do not exist fail soon enough.
        """
        begun = [savepath for savepath, job in known.items() if job.identity.etag and not self._renews(job.id)]
        done = [savepath for savepath, job in known.items() if job.state == "done" and not self._renews(job.id)]
        identities: dict[str, Identity | None] = {
            savepath: given for savepath in {*done, *begun} if (given := requested[savepath]) is not None
        }
        unknown = [savepath for savepath in begun if savepath not in identities]
        running = [savepath for savepath in unknown if known[savepath].state == "running"]
        to_ask = [savepath for savepath in unknown if known[savepath].state == "done"]
        if self._dry_run:
            to_ask += [savepath for savepath, given in requested.items() if savepath not in known and given is None]
        if (to_ask or running) and self._objects and not self.unavailable_reason:
            try:
                found = await self._objects.identities(self.bucket, [*to_ask, *running])
                identities |= {savepath: found[savepath] for savepath in running if savepath in found}
                identities |= {savepath: found.get(savepath) for savepath in to_ask}
                await self._note_removed([savepath for savepath in to_ask if savepath not in found], bool(found))
            except ServiceError as reason:
                self.unavailable_reason = reason
        return identities

    async def _note_removed(self, gone: list[str], others_exist: bool) -> None:
        """Of an empty bucket the disk may not be mounted: then nothing is noted."""
        assert self._objects
        if gone and not self._dry_run and (others_exist or await self._objects.exist(self.bucket)):
            async with self._pool.connection() as connection:
                await removed_objects.mark(connection, self.bucket, gone)

    async def _carry_out(self, outcomes: dict[str, Outcome], known: Mapping[str, versions.Current]) -> list[str]:
        """Do it; returns what was forgotten while this waited for that: nothing is done with those."""
        fresh = [savepath for savepath, outcome in outcomes.items() if outcome in ("new", "changed")]
        again = [known[savepath].id for savepath, outcome in outcomes.items() if outcome == "again"]
        moved = [known[savepath].id for savepath, outcome in outcomes.items() if outcome == "known"]
        if self._priority is None:
            moved = []
        if not (fresh or again or moved or self._webhook):
            return []
        replaced = [known[savepath].id for savepath in fresh if savepath in known]
        notified = [job.id for job in known.values()] if self._webhook else []
        written = {*again, *moved, *notified}.difference(replaced)
        kept = {job.id: savepath for savepath, job in known.items() if job.id in written}
        for _ in range(TRIES):
            with suppress(ForeignKeyViolation):  # a recording was forgotten while this waited for that
                return await self._write(outcomes, fresh, replaced, again, moved, kept)
        return await self._write(outcomes, fresh, replaced, again, moved, kept)

    async def _write(
        self,
        outcomes: dict[str, Outcome],
        fresh: list[str],
        replaced: list[int],
        again: list[int],
        moved: list[int],
        kept: Mapping[int, str],
    ) -> list[str]:
        """One transaction; the savepaths of those jobs to be ``kept`` that there are no more."""
        async with self._pool.connection() as connection:
            there = set(await transitions.lock(connection, [*replaced, *kept]))
            if replaced:
                running = await transitions.supersede(connection, replaced)
                await self._queue.withdraw(connection, running)
            made = await versions.add(connection, self.bucket, fresh, self._options, self._priority, replaced)
            reopened = await transitions.reopen(connection, again, self._priority)
            await self._queue.put_new(connection, made)
            await self._queue.put(connection, reopened)
            if self._priority is not None:
                await transitions.prioritize(connection, moved, self._priority)
            if len(made) < len(fresh):  # another submission was faster
                now = await versions.current(connection, self.bucket, fresh, self._options)
                outcomes |= {savepath: "known" for savepath, job in now.items() if job.id not in set(made)}
            if self._webhook:
                now = await versions.current(connection, self.bucket, list(outcomes), self._options)
                await webhooks.subscribe(connection, [job.id for job in now.values()], self._webhook)
        self._made += len(made)
        return [savepath for id, savepath in kept.items() if id not in there]


def _chunks(savepaths: Mapping[str, None], size: int) -> Iterator[Requested]:
    rest = iter(savepaths)
    while chunk := list(islice(rest, size)):
        yield dict.fromkeys(chunk)


async def take_all(
    take: Callable[[Requested], Awaitable[dict[str, Outcome]]],
    chunks: AsyncIterable[Requested],
    report: Callable[[dict[str, Outcome]], None],
) -> None:
    """Take each of these chunks, :data:`AT_A_TIME`, and report what is done with each, in their order.

    So the ids of jobs are in the order of the chunks except for those of neighbours.
    """
    room = asyncio.Semaphore(AT_A_TIME)

    async def take_one(requested: Requested, previous: asyncio.Task[None] | None) -> None:
        outcomes = await take(requested)
        if previous:
            await previous
        report(outcomes)
        room.release()  # not before: all that are taken meanwhile would wait in memory for one that waits for a lock

    try:
        async with asyncio.TaskGroup() as group:
            last = None
            async for requested in chunks:
                await room.acquire()
                last = group.create_task(take_one(requested, last))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
