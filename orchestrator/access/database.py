"""The orchestrator through its database, on a host that has it."""

from collections.abc import AsyncIterator, Sequence

from orchestrator.access.interface import AboutTranscript, QueueState, Selection, Submitting
from orchestrator.exports.pending_results import STORE_MEDIA, pending_results
from orchestrator.intake.submission import Outcome, Requested, Submission
from orchestrator.intake.vocabularies import Requeued, Vocabularies
from orchestrator.jobs import deletion, failures
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.deletion import Deleted
from orchestrator.jobs.models import Job, Options, State
from orchestrator.jobs.stats import PendingWork, overview
from orchestrator.jobs.vocabulary import Vocabulary
from orchestrator.queue.rules import Rule, active_rules
from orchestrator.session import Session
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts import reader
from orchestrator.transcripts.models import Transcript, TranscriptSegment
from orchestrator.transcripts.queries import ListedTranscript, ListQuery
from orchestrator.transcripts.search import Found, SearchQuery, search
from orchestrator.transcripts.titles import TitledRecording, titled
from reelscribe.errors import ServiceError
from reelscribe.text.formats import Format


class DatabaseSubmitting:
    """A submission into the database."""

    def __init__(self, session: Session, submission: Submission, options: Options) -> None:
        self.bucket = submission.bucket
        self._session = session
        self._submission = submission
        self._options = options

    @property
    def warning(self) -> str | None:
        reason = self._submission.unavailable_reason
        return reason.message if reason else None

    async def take(self, requested: Requested) -> dict[str, Outcome]:
        return await self._submission.take(requested)

    async def finish(self) -> None:
        await self._submission.finish()

    async def jobs(self, savepaths: Sequence[str]) -> list[Job]:
        async with self._session.pool.connection() as connection:
            return await job_queries.current_jobs(connection, self.bucket, list(savepaths), self._options)


class DatabaseAccess:
    """See :class:`orchestrator.access.interface.Access`.

    Args:
        by: who changes something, as it is noted.
    """

    def __init__(self, session: Session, by: str) -> None:
        self.default_bucket = session.bucket(None)
        self.takes_webhooks = session.settings.webhooks.secret_file is not None
        self.resubmits = bool(session.settings.events.reconcile_every)
        self._session = session
        self._pool = session.pool
        self._stores_results = session.settings.results.wanted
        self._vocabularies = Vocabularies(session.pool, session.submissions)
        self._by = by

    def bucket(self, named: str | None) -> str:
        return self._session.bucket(named)

    def session(self, what: str) -> Session:
        return self._session

    def begin(
        self,
        bucket: str,
        options: Options,
        priority: int | None,
        force: bool,
        webhook: str | None,
        dry_run: bool = False,
    ) -> Submitting:
        submission = self._session.submissions.begin(bucket, options, priority, force, dry_run, webhook)
        return DatabaseSubmitting(self._session, submission, options)

    async def jobs_by_id(self, ids: Sequence[int]) -> list[Job]:
        async with self._pool.connection() as connection:
            return await job_queries.jobs_by_id(connection, ids)

    async def current_jobs(self, bucket: str, savepaths: Sequence[str]) -> tuple[list[Job], PendingWork | None]:
        async with self._pool.connection() as connection:
            jobs = await job_queries.current_jobs(connection, bucket, savepaths)
            if not jobs or not self._stores_results:
                return jobs, None
            return jobs, await pending_results(connection, [job.id for job in jobs])

    async def list_jobs(self, state: State | None, bucket: str | None, prefix: str | None, limit: int) -> list[Job]:
        async with self._pool.connection() as connection:
            return await job_queries.list_jobs(connection, state, limit=limit, bucket=bucket, prefix=prefix)

    async def failed_ids(self, bucket: str | None, code: str | None, reason: str | None) -> list[int]:
        async with self._pool.connection() as connection:
            return await failures.failed_ids(connection, bucket, code, reason)

    async def unfinished_ids(self, bucket: str, prefix: str) -> list[int]:
        async with self._pool.connection() as connection:
            return await job_queries.unfinished_ids(connection, bucket, prefix)

    async def retry(self, ids: Sequence[int]) -> list[int]:
        return await self._session.submissions.retry(ids)

    async def cancel(self, ids: Sequence[int]) -> list[int]:
        return await self._session.submissions.cancel(ids)

    async def rules(self) -> list[Rule]:
        async with self._pool.connection() as connection:
            return await active_rules(connection)

    async def queue(self, bucket: str | None, prefix: str | None) -> QueueState:
        async with self._pool.connection() as connection:
            rules = await active_rules(connection)
            wanted = self._stores_results and bucket is None
            results = await pending_results(connection) if wanted else None
            found = await overview(connection, bucket, prefix)
        return QueueState(found, await self.count_workers(), rules, results)

    async def count_workers(self) -> int:
        return await self._session.queue.count_workers()

    async def listed(self, bucket: str, query: ListQuery, after: str) -> list[ListedTranscript]:
        async with self._pool.connection() as connection:
            return await transcript_queries.listed(connection, bucket, query, after)

    async def search(self, query: SearchQuery) -> tuple[Found, list[TitledRecording]]:
        async with self._pool.connection() as connection:
            found = await search(connection, query, self.default_bucket)
            recordings = await titled(connection, query, self.default_bucket)
        here = self._session.settings.orchestrator.base_url
        return Found([hit.model_copy(update={"link": here + hit.link}) for hit in found.hits], found.next), recordings

    async def about(self, bucket: str, savepath: str, as_heard: bool) -> AboutTranscript:
        async with self._pool.connection() as connection:
            job = await job_queries.newest_finished(connection, bucket, savepath)
            if job is None:
                raise await transcript_queries.no_transcript(connection, bucket, savepath, self.default_bucket)
            return AboutTranscript(
                await transcript_queries.about_transcript(connection, job, as_heard),
                await pending_results(connection, [job.id]) if self._stores_results else None,
                await job_queries.why_given_up(connection, STORE_MEDIA, job.id),
            )

    def parts(self, transcript: Transcript, wanted: Format, timestamps: bool) -> AsyncIterator[bytes]:
        return reader.parts(self._pool, transcript, wanted, timestamps)

    def pages(self, transcript: Transcript) -> AsyncIterator[Sequence[TranscriptSegment]]:
        return reader.pages(self._pool, transcript.job, transcript.as_heard)

    async def finished(self, selection: Selection) -> AsyncIterator[str]:
        after = ""
        while True:
            bucket, savepaths, prefix, filters = selection
            async with self._pool.connection() as connection:
                page = await transcript_queries.finished_savepaths(
                    connection, bucket, prefix, savepaths, after, filters
                )
            for savepath in page:
                yield savepath
            if not page:
                return
            after = page[-1]

    async def count_finished(self, selection: Selection) -> int:
        bucket, savepaths, prefix, filters = selection
        async with self._pool.connection() as connection:
            return await transcript_queries.count_finished(connection, bucket, prefix, savepaths, filters)

    async def why_missing(self, bucket: str, savepath: str) -> ServiceError:
        async with self._pool.connection() as connection:
            return await transcript_queries.no_transcript(connection, bucket, savepath, self.default_bucket)

    async def shares_stem(self, bucket: str, savepath: str) -> bool:
        async with self._pool.connection() as connection:
            return await transcript_queries.shares_stem(connection, bucket, savepath)

    async def count_known(self, bucket: str, savepaths: Sequence[str]) -> tuple[Deleted, list[str]]:
        async with self._pool.connection() as connection:
            known = await deletion.known(connection, bucket, savepaths)
            return await deletion.count(connection, bucket, savepaths), sorted(set(savepaths) - set(known))

    async def delete(self, bucket: str, savepaths: Sequence[str]) -> Deleted:
        return await self._session.deletions.delete(bucket, savepaths)

    async def vocabularies(self) -> list[Vocabulary]:
        return await self._vocabularies.listed()

    async def put_vocabulary(self, prefix: str, words: Sequence[str]) -> list[Vocabulary]:
        return await self._vocabularies.put(prefix, words, self._by)

    async def change_vocabulary(self, prefix: str, add: Sequence[str], remove: Sequence[str]) -> list[Vocabulary]:
        return await self._vocabularies.change(prefix, add, remove, self._by)

    async def requeue(self, prefix: str, dry_run: bool) -> Requeued:
        return await self._vocabularies.requeue(prefix, dry_run)
