"""A kind of work that follows transcriptions: the finished transcript is stored as objects next to its recording."""

import logging
from collections.abc import Sequence
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Protocol

from orchestrator.database.pool import Pool
from orchestrator.exports.names import file_name
from orchestrator.exports.pending_results import STORE_RESULT, without_result
from orchestrator.jobs import deletion, transitions
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.attempts import Attempt
from orchestrator.jobs.models import TRANSCRIBE
from orchestrator.queue.entries import QueueEntries
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.models import Transcript
from orchestrator.transcripts.reader import parts
from reelscribe.blocking_calls import call_blocking
from reelscribe.errors import NoRoom, PeerRefused
from reelscribe.settings.orchestrator import ResultsSection
from reelscribe.text.file_names import FileNames
from reelscribe.text.formats import Format

log = logging.getLogger(__name__)

PRIORITY = 1000
"""Results are stored before more is transcribed; it takes a moment."""
IN_MEMORY_BYTES = 4 << 20
"""A larger result is written to a temporary file first: its length is sent before it."""


class ResultBucket(Protocol):
    """Where results are stored; see :mod:`orchestrator.exports.result_bucket`."""

    def put(self, name: str, content: IO[bytes], content_type: str) -> None:
        """Store an object; blocks."""

    def remove(self, bucket: str, names: Sequence[str]) -> None:
        """Remove objects, of whichever bucket; blocks."""


class ResultStore:
    """Stores the newest transcript of a recording, in the formats of ``[results]``.

    Args:
        bucket: where they are stored.
        recordings: the buckets of the recordings; results of all but the first are in a folder named for the bucket.
    """

    def __init__(
        self,
        pool: Pool,
        queue: QueueEntries,
        bucket: ResultBucket,
        section: ResultsSection,
        recordings: Sequence[str],
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._bucket = bucket
        self._section = section
        self._names = FileNames(section.name)
        self._recordings = recordings

    async def follow_transcriptions(self) -> None:
        """From now on, store what is finished, by whichever worker; and what was finished before."""
        async with self._pool.connection() as connection:
            await transitions.follow(connection, STORE_RESULT, TRANSCRIBE, PRIORITY)
        last = 0
        while True:
            async with self._pool.connection() as connection:
                media = await without_result(connection, last)
                await self._queue.put(connection, await transitions.catch_up(connection, STORE_RESULT, media, PRIORITY))
            if not media:
                return
            last = media[-1]

    async def work(self, attempt: Attempt) -> None:
        """Store one result; see :class:`orchestrator.worker.kinds.Kind`."""
        async with self._pool.connection() as connection:
            stored = await job_queries.newest_finished(connection, attempt.bucket, attempt.savepath)
            about = await transcript_queries.about_transcript(connection, stored) if stored else None
        if about:
            await self._store(attempt, about)
        async with self._pool.connection() as connection:
            await transitions.finish(connection, attempt)
            newest = await job_queries.newest_finished(connection, attempt.bucket, attempt.savepath)
            if newest and (stored is None or newest.id != stored.id):  # it was finished while the old one was stored
                await self._queue.put(connection, await transitions.repeat(connection, attempt.id))

    async def _store(self, attempt: Attempt, transcript: Transcript) -> None:
        stored = [await self._put(attempt, transcript, format) for format in self._section.formats]
        await self._remove_all_but(attempt, stored)
        log.info("%s: result stored as %s", transcript.job.savepath, ", ".join(self._section.formats))

    async def _put(self, attempt: Attempt, transcript: Transcript, format: Format) -> str:
        """The name of the object."""
        async with self._pool.connection() as connection:
            name = await file_name(connection, self._names, transcript, format)
        name = self._section.prefix + self._for_one_bucket(transcript.job.bucket, name)
        try:
            with SpooledTemporaryFile(IN_MEMORY_BYTES) as content:
                async for part in parts(self._pool, transcript, format):
                    content.write(part)
                await self._put_object(attempt, name, content, format.content_type)
        except OSError as full:
            reason = f"the temporary file of {name} cannot be written: {full.strerror or full}"
            raise NoRoom(reason) from full
        return name

    def _for_one_bucket(self, bucket: str, name: str) -> str:
        """A name that no recording of another bucket has: those that begin with a bucket's name are all of that one."""
        if bucket == self._recordings[0] and name.split("/", 1)[0] not in self._recordings:
            return name
        return f"{bucket}/{name}"

    async def _put_object(self, attempt: Attempt, name: str, content: IO[bytes], content_type: str) -> None:
        """The name is recorded before, so that a deletion finds it; and while the object is written, deletions wait.

        Raises:
            Superseded: the recording was forgotten, or the attempt is over.
        """
        assert attempt.media_id is not None and self._section.bucket
        async with self._pool.connection() as connection:
            await deletion.note_result(connection, attempt.media_id, self._section.bucket, name)
        async with self._pool.connection() as connection:
            await deletion.hold_recording(connection, attempt)
            await call_blocking(partial(self._bucket.put, name, content, content_type))

    async def _remove_all_but(self, attempt: Attempt, stored: Sequence[str]) -> None:
        """Remove what was stored of the recording under other names: it has the words of an older transcript.

        Raises:
            Superseded: the recording was forgotten, or the attempt is over.
            PeerUnreachable: the bucket does not answer.
        """
        assert attempt.media_id is not None and self._section.bucket
        async with self._pool.connection() as connection:
            others = await deletion.stored_results(connection, [attempt.media_id])
            for bucket, names in others.items():
                old = [name for name in names if bucket != self._section.bucket or name not in stored]
                if not old:
                    continue
                await deletion.hold_recording(connection, attempt)
                try:
                    await call_blocking(partial(self._bucket.remove, bucket, old))
                except PeerRefused as refused:
                    log.warning("%s: results with older words stay: %s", attempt.savepath, refused.message)
                else:
                    await deletion.forget_results(connection, attempt.media_id, bucket, old)
