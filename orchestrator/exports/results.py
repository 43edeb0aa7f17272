"""A kind of work that follows transcriptions: the finished transcript is stored as objects next to its recording."""

import logging
from collections.abc import Sequence
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Protocol

from orchestrator.database.pool import Pool
from orchestrator.exports.following import PRIORITY, follow_transcriptions, remove_all_but
from orchestrator.exports.names import file_name, for_one_bucket
from orchestrator.exports.pending_results import STORE_RESULT
from orchestrator.jobs import deletion, transitions
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.attempts import Attempt
from orchestrator.queue.entries import QueueEntries
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.edits.locking import EDITED
from orchestrator.transcripts.models import Transcript
from orchestrator.transcripts.reader import parts
from reelscribe.blocking_calls import call_blocking
from reelscribe.errors import NoRoom
from reelscribe.settings.orchestrator import ResultsSection
from reelscribe.text.file_names import FileNames
from reelscribe.text.formats import Format

log = logging.getLogger(__name__)

IN_MEMORY_BYTES = 4 << 20
"""A larger result is written to a temporary file first: its length is sent before it."""


class ResultBucket(Protocol):
    """Where results are stored; see :mod:`orchestrator.exports.result_bucket`."""

    def put(self, name: str, content: IO[bytes], content_type: str) -> None:
        """Store an object; blocks."""

    def remove(self, bucket: str, names: list[str]) -> None:
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
            await transitions.follow(connection, STORE_RESULT, EDITED, PRIORITY)
        await follow_transcriptions(self._pool, self._queue, STORE_RESULT, PRIORITY)

    async def work(self, attempt: Attempt) -> None:
        """Store one result; see :class:`orchestrator.worker.kinds.Kind`."""
        async with self._pool.connection() as connection:
            stored = await job_queries.newest_finished(connection, attempt.bucket, attempt.savepath)
            about = await transcript_queries.about_transcript(connection, stored) if stored else None
            ambiguous = await transcript_queries.shares_stem(connection, attempt.bucket, attempt.savepath)
        if about:
            await self._store(attempt, about, ambiguous)
        if ambiguous:
            await self._rename_others(attempt)
        async with self._pool.connection() as connection:
            await transitions.finish(connection, attempt)
            newest = await job_queries.newest_finished(connection, attempt.bucket, attempt.savepath)
            done = stored and (stored.id, stored.revision), ambiguous
            if newest:
                now_ambiguous = await transcript_queries.shares_stem(connection, attempt.bucket, attempt.savepath)
                if ((newest.id, newest.revision), now_ambiguous) != done:  # something was finished or edited meanwhile
                    await self._queue.put(connection, await transitions.repeat(connection, attempt.id))

    async def _rename_others(self, attempt: Attempt) -> None:
        """Store those again that had their name for themselves until this recording was transcribed.

        One that is being stored is left alone: it looks for this recording before it ends.
        """
        assert self._section.bucket
        others = []
        async with self._pool.connection() as connection:
            sharing = await transcript_queries.sharing_stem(connection, attempt.bucket, attempt.savepath)
            for savepath, id in sharing.items():
                job = await job_queries.newest_finished(connection, attempt.bucket, savepath)
                if not job:
                    continue
                about = await transcript_queries.about_transcript(connection, job)
                noted = await deletion.noted_results(connection, id, self._section.bucket)
                wanted = set(self._names_of(about, ambiguous=True).values())
                if not wanted <= noted and noted & set(self._names_of(about, ambiguous=False).values()) - wanted:
                    others.append(id)
            await self._queue.put(connection, await transitions.catch_up(connection, STORE_RESULT, others, PRIORITY))

    async def _store(self, attempt: Attempt, transcript: Transcript, ambiguous: bool) -> None:
        names = self._names_of(transcript, ambiguous)
        for format, name in names.items():
            await self._put(attempt, transcript, format, name)
        assert self._section.bucket
        await remove_all_but(self._pool, self._bucket, attempt, {self._section.bucket: list(names.values())})
        log.info("%s: result stored as %s", transcript.job.savepath, ", ".join(self._section.formats))

    def _names_of(self, transcript: Transcript, ambiguous: bool) -> dict[Format, str]:
        """The name of the object of each format."""
        bucket, names = transcript.job.bucket, dict[Format, str]()
        for format in self._section.formats:
            name = file_name(self._names, transcript, format, ambiguous=ambiguous)
            names[format] = self._section.prefix + for_one_bucket(bucket, name, self._recordings)
        return names

    async def _put(self, attempt: Attempt, transcript: Transcript, format: Format, name: str) -> None:
        try:
            with SpooledTemporaryFile(IN_MEMORY_BYTES) as content:
                async for part in parts(self._pool, transcript, format):
                    content.write(part)
                await self._put_object(attempt, name, content, format.content_type)
        except OSError as full:
            reason = f"the temporary file of {name} cannot be written: {full.strerror or full}"
            raise NoRoom(reason) from full

    async def _put_object(self, attempt: Attempt, name: str, content: IO[bytes], content_type: str) -> None:
        """The name is recorded before, so that a deletion finds it; and while the object is written, deletions wait.

        Raises:
            Superseded: the recording was forgotten, or the attempt is over.
        """
        assert attempt.media_id is not None and self._section.bucket
        async with self._pool.connection() as connection:
            await deletion.note_result(connection, attempt.media_id, self._section.bucket, name, STORE_RESULT)
        async with self._pool.connection() as connection:
            await deletion.hold_recording(connection, attempt)
            await call_blocking(partial(self._bucket.put, name, content, content_type))
