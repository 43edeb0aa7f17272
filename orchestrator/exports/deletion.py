"""Forgetting recordings: everything that the database and the results bucket have of them, or one job.

The objects that ``[results]`` has stored are removed first, in the transaction that then removes the rows: if the
bucket fails, nothing is forgotten, and it can be tried again. Nothing comes back: a running attempt writes nothing
after its job is gone, a result that is being stored is waited for, and a submission that is to change a job waits for
the end, and makes a new one.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from psycopg.errors import LockNotAvailable

from orchestrator.database.pool import Pool
from orchestrator.database.sql import Connection
from orchestrator.errors import InUse, SomethingLeft, TranscriptKept
from orchestrator.jobs import deletion, queries, removed_objects, retention, transitions
from orchestrator.jobs.deletion import Deleted
from orchestrator.jobs.object_changes import Identity
from orchestrator.jobs.retention import Expired
from orchestrator.transcripts.addresses import recording_path
from reelscribe.blocking_calls import call_blocking
from reelscribe.errors import JobNotFound, PeerRefused, SettingsError
from reelscribe.settings.shared import MinioSection

if TYPE_CHECKING:
    from orchestrator.exports.result_bucket import StoredResults

TOGETHER = 50
"""Savepaths of one transaction; each may have thousands of segments."""
TRIES = 5

Existing = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Of these savepaths of a bucket, those whose objects exist."""


Recording = tuple[str, str]
"""Bucket and savepath."""

Judge = Callable[[Connection, Sequence[int]], Awaitable[Sequence[Expired]]]
"""Of these recordings, which are locked, those to be removed."""


class QueueEntries(Protocol):
    """The queue, as far as a deletion needs it."""

    async def withdraw(self, connection: Connection, queue_jobs: Sequence[int]) -> None:
        """Take entries out of the queue; a worker that runs one of them stops it."""


class Deletions:
    """Forgets recordings.

    Args:
        minio: for removing the results that were stored.
    """

    def __init__(self, pool: Pool, queue: QueueEntries, minio: MinioSection) -> None:
        self._pool = pool
        self._queue = queue
        self._minio = minio

    async def delete(
        self, bucket: str, savepaths: Sequence[str] | None, prefix: str = "", until: int | None = None
    ) -> Deleted:
        """Forget these savepaths, or all that start with ``prefix``; those that nothing is known of are skipped.

        Args:
            until: id of the last recording that may be forgotten; later ones stay.

        Raises:
            InUse: a result of one is being stored; all before it are forgotten.
            ServiceError: a stored result cannot be removed; likewise.
        """
        total = Deleted()
        while True:
            async with self._pool.connection() as connection:
                found = await deletion.recordings(connection, bucket, savepaths, prefix, TOGETHER, until)
            if not found:
                return total
            total += await self._forget(list(found.values()))

    async def delete_removed(self, bucket: str, savepaths: Sequence[str], existing: Existing) -> Deleted:
        """Forget those of these savepaths whose objects are gone.

        Args:
            existing: is asked while no job can be added: what is uploaded after its answer gets its new job after that.

        Raises:
            InUse, ServiceError: see :meth:`delete`; or ``existing`` does not answer.
        """
        total = Deleted()
        for begin in range(0, len(savepaths), TOGETHER):
            total += await self._forget_removed(bucket, savepaths[begin : begin + TOGETHER], existing)
        return total

    async def delete_expired(
        self, media_ids: Sequence[int], judge: Judge, with_recording: Callable[[Expired], bool]
    ) -> tuple[list[Expired], Deleted]:
        """Forget those of these recordings that are to be, and prove it: their objects are looked for in the buckets
        before the rows are removed that name them, and the rows in all tables afterwards.

        Args:
            with_recording: whether the recording's own object is removed too; one that is newer than its last use is
                another recording, and all of it stays.

        Returns:
            Those that were removed, and how much that was.

        Raises:
            InUse: a result of one is being stored.
            ServiceError: an object cannot be removed, or something is left.
        """
        for _ in range(TRIES):
            try:
                async with self._pool.connection() as connection:
                    if await deletion.lock(connection, media_ids) is None:
                        continue
                    await deletion.allow_storing(connection)
                    gone, recordings = await self._without_newer(await judge(connection, media_ids), with_recording)
                    ids = [one.id for one in gone]
                    jobs = await deletion.lock(connection, ids) or ()
                    entries = await deletion.queue_entries(connection, jobs)
                    await self._end(connection, jobs)
                    objects = await deletion.stored_results(connection, ids)
                    await self._remove_recordings(recordings)
                    await self._remove_results(objects, proved=True)
                    removed = await deletion.remove(connection, ids)
            except LockNotAvailable:
                break
            async with self._pool.connection() as connection:
                if left := await retention.left(connection, ids, jobs, entries):
                    tables = ", ".join(left)
                    raise SomethingLeft(f"of {gone[0].savepath} or a recording after it, something is left in {tables}")
            return gone, removed
        raise _in_use()

    async def delete_given_up(self, id: int, judge: Callable[[Connection, int], Awaitable[bool]]) -> Deleted:
        """Remove a job that failed or was cancelled, if it is still to be removed once it is locked.

        Raises:
            InUse: a result of its recording is being stored.
        """
        return await self._forget_job(id, judge=judge)

    async def delete_failed(self, ids: Sequence[int], code: str) -> Deleted:
        """Remove jobs that failed with this code, one at a time; all others are skipped, such as those retried now."""
        total = Deleted()
        for id in ids:
            total += await self._forget_job(id, code)
        return total

    async def delete_job(self, id: int) -> Deleted:
        """Remove a job without a transcript.

        Raises:
            JobNotFound: there is none.
            TranscriptKept: it is done.
        """
        async with self._pool.connection() as connection:
            found = await queries.jobs_by_id(connection, [id])
        if found and found[0].state != "done":
            removed = await self._forget_job(id)
            if removed.jobs:
                return removed
            async with self._pool.connection() as connection:
                found = await queries.jobs_by_id(connection, [id])
        if not found:
            raise JobNotFound(f"there is no job {id}; GET /api/jobs lists them")
        path = recording_path("/api/transcripts/", found[0].savepath)
        raise TranscriptKept(f"job {id} is done; remove all of it with DELETE {path}")

    async def _forget(self, media_ids: Sequence[int]) -> Deleted:
        for _ in range(TRIES):
            try:
                async with self._pool.connection() as connection:
                    if (jobs := await deletion.lock(connection, media_ids)) is not None:
                        return await self._remove(connection, media_ids, jobs)
            except LockNotAvailable:
                break
        raise _in_use()

    async def _forget_removed(self, bucket: str, savepaths: Sequence[str], existing: Existing) -> Deleted:
        for _ in range(TRIES):
            async with self._pool.connection() as connection:
                found = await deletion.recordings(connection, bucket, savepaths, "", len(savepaths))
            try:
                async with self._pool.connection() as connection:
                    if await deletion.lock(connection, list(found.values())) is None:
                        continue
                    back = await existing(list(found))
                    await removed_objects.unmark(connection, bucket, list(back))
                    gone = [media_id for savepath, media_id in found.items() if savepath not in back]
                    return await self._remove(connection, gone, await deletion.lock(connection, gone) or ())
            except LockNotAvailable:
                break
        raise _in_use()

    async def _remove(self, connection: Connection, media_ids: Sequence[int], jobs: Sequence[int]) -> Deleted:
        """Remove all that is known of recordings that are locked."""
        await self._end(connection, jobs)
        await self._remove_results(await deletion.stored_results(connection, media_ids))
        return await deletion.remove(connection, media_ids)

    async def _forget_job(
        self, id: int, code: str | None = None, judge: Callable[[Connection, int], Awaitable[bool]] | None = None
    ) -> Deleted:
        for _ in range(TRIES):
            try:
                async with self._pool.connection() as connection:
                    media_id = await deletion.recording_of(connection, id)
                    if await deletion.lock(connection, [media_id] if media_id else []) is None:
                        continue
                    if code is not None and not await deletion.failed_with(connection, id, code):
                        return Deleted()
                    if judge is not None and not await judge(connection, id):
                        return Deleted()
                    await self._end(connection, [id])
                    return await deletion.remove_job(connection, id, media_id)
            except LockNotAvailable:
                break
        raise _in_use()

    async def _end(self, connection: Connection, jobs: Sequence[int]) -> None:
        """Cancel what is unfinished: from now on, no attempt writes."""
        await transitions.cancel(connection, jobs)
        await self._queue.withdraw(connection, await deletion.queue_entries(connection, jobs))

    async def _remove_results(self, names: Mapping[str, Sequence[str]], proved: bool = False) -> None:
        """Remove objects, by bucket; ``proved``: each is looked for afterwards."""
        if not names:
            return
        stored = await self._stored()
        for bucket, of_bucket in names.items():
            try:
                await call_blocking(partial(stored.remove, bucket, of_bucket))
                if proved:
                    await call_blocking(partial(stored.prove_removed, bucket, of_bucket))
            except PeerRefused as refused:
                raise _nothing_forgotten(refused) from refused

    async def _remove_recordings(self, recordings: Mapping[Recording, Identity]) -> None:
        """Remove the objects of recordings, as far as they are still those that were looked at."""
        for (bucket, savepath), known in recordings.items():
            try:
                await call_blocking(partial((await self._stored()).remove_unchanged, bucket, savepath, known))
            except PeerRefused as refused:
                raise _nothing_forgotten(refused) from refused

    async def _without_newer(
        self, found: Sequence[Expired], with_recording: Callable[[Expired], bool]
    ) -> tuple[list[Expired], dict[Recording, Identity]]:
        """Those whose object is not another one by now, as far as that object would be removed; and these objects."""
        by_bucket: dict[str, list[str]] = {}
        for one in filter(with_recording, found):
            by_bucket.setdefault(one.bucket, []).append(one.savepath)
        there: dict[Recording, Identity] = {}
        for bucket, names in by_bucket.items():
            objects = await call_blocking(partial((await self._stored()).find, bucket, names))
            there |= {(bucket, name): stored for name, stored in objects.items()}
        newer = {
            (one.bucket, one.savepath)
            for one in found
            if (stored := there.get((one.bucket, one.savepath))) and (stored.last_modified or one.used_at) > one.used_at
        }
        older = [one for one in found if (one.bucket, one.savepath) not in newer]
        return older, {recording: stored for recording, stored in there.items() if recording not in newer}

    async def _stored(self) -> "StoredResults":
        from orchestrator.exports.result_bucket import StoredResults  # 0.4 s that no other command should wait

        try:
            return StoredResults(self._minio)
        except SettingsError as wrong:
            raise PeerRefused(f"{'; '.join(wrong.problems)}; nothing was forgotten") from None


def _nothing_forgotten(refused: PeerRefused) -> PeerRefused:
    return PeerRefused(f"{refused.message}; nothing was forgotten")


def _in_use() -> InUse:
    return InUse("a result of it is being stored at this moment; nothing was removed of it: try again")
