"""The HTTP API of the orchestrator."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import Gauge
from tornado.iostream import StreamClosedError

from orchestrator.api.feed import Feed
from orchestrator.api.metrics import QueueMetrics
from orchestrator.api.schemas import DeleteQuery, JobsQuery, Status, StatusQuery, SubmitRequest, TranscriptQuery
from orchestrator.api.throughput import ThroughputSums
from orchestrator.database.pool import CONNECTION_ERRORS, Pool
from orchestrator.diagnosis import diagnose
from orchestrator.errors import DatabaseUnavailable
from orchestrator.exports.deletion import Deletions
from orchestrator.exports.pending_results import pending_results
from orchestrator.intake.bucket import Objects
from orchestrator.intake.corrections import Corrections
from orchestrator.intake.event_intake import EventIntake
from orchestrator.intake.submission import Submissions
from orchestrator.intake.uploads import Uploads
from orchestrator.intake.vocabularies import Vocabularies
from orchestrator.jobs import deletion, stats
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.matching import JobFilter, page_of_jobs
from orchestrator.jobs.models import Job
from orchestrator.jobs.stats import overview
from orchestrator.media.media import Media
from orchestrator.queue.entries import QueueEntries
from orchestrator.queue.rules import active_rules
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.edits import history
from orchestrator.transcripts.reader import parts
from orchestrator.transcripts.search import Hit, SearchQuery, search, search_recordings
from orchestrator.transcripts.titles import titled
from orchestrator.worker.transcriber_choice import TranscriberState, transcriber_problems
from reelscribe.contracts.diagnosis import Finding
from reelscribe.errors import BadRequest, JobNotFound
from reelscribe.http.access.allowed_hosts import AllowedHosts
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.api.monitoring import HealthHandler
from reelscribe.http.peers.watch import PeerWatch
from reelscribe.http.server.service import Service, ServiceHandler
from reelscribe.version import version

STALL_SECONDS = 60.0
"""Longest wait for a client that does not read what it asked for."""


class OrchestratorService(Service):
    """The orchestrator: what its handlers work with.

    Args:
        default_bucket: where savepaths are looked for when a request names no bucket.
        intake: takes what MinIO's events name.
        stores_results: whether finished transcripts are stored in a bucket.
        takes_webhooks: whether submissions may name one.
        resubmits: whether a listing submits again what is forgotten and still in the bucket.
        objects: without them, the health does not say whether submissions can be compared with the bucket.
        media: what browsers play.
        uploads: takes recordings.

    Attributes:
        players: answers that are being sent to players.
        transcribers: what the worker of this process knows of its transcribers; None without a worker.
    """

    remedy = "see what is said of the extractor and the transcribers; orchestrator check asks them, too"

    def __init__(
        self,
        tokens: Tokens,
        pool: Pool,
        queue: QueueEntries,
        submissions: Submissions,
        default_bucket: str,
        intake: EventIntake,
        deletions: Deletions,
        stores_results: bool = False,
        takes_webhooks: bool = False,
        hosts: AllowedHosts | None = None,
        objects: Objects | None = None,
        *,
        media: Media,
        uploads: Uploads,
        resubmits: bool = False,
    ) -> None:
        super().__init__("orchestrator", tokens, hosts)
        self.pool = pool
        self.queue = queue
        self.submissions = submissions
        self.default_bucket = default_bucket
        self.intake = intake
        self.deletions = deletions
        self.stores_results = stores_results
        self.takes_webhooks = takes_webhooks
        self.resubmits = resubmits
        self.media = media
        self.uploads = uploads
        self.players: set[ServiceHandler] = set()
        self.vocabularies = Vocabularies(pool, submissions)
        self.corrections = Corrections(pool, queue, default_bucket)
        self.feed = Feed(pool)
        self.throughput = ThroughputSums(pool)
        self.transcribers: Callable[[], list[TranscriberState]] | None = None
        self._extractor = PeerWatch("the extractor", objects.problem) if objects else None
        self._queue_metrics = QueueMetrics(pool, queue, stores_results)
        self.registry.register(self._queue_metrics)
        streams = Gauge("reelscribe_event_streams", "Open streams of events", registry=self.registry)
        streams.set_function(lambda: len(self.feed.followers))
        players = Gauge("reelscribe_players", "Recordings being sent to players", registry=self.registry)
        players.set_function(lambda: len(self.players))

    async def problems(self) -> list[str]:
        found = transcriber_problems(self.transcribers()) if self.transcribers else []
        if self._extractor and (problem := await self._extractor.problem()):
            found.append(f"{problem}: submissions cannot be compared with the bucket")
        return found

    async def diagnose(self) -> list[Finding]:
        return await diagnose(self.pool, self.queue)

    async def refresh_metrics(self) -> None:
        await self._queue_metrics.refresh()

    async def end_streams(self) -> None:
        """Send the followers of events away: they would outlast any time of grace."""
        self.feed.drop_all()


class OrchestratorHandler(ServiceHandler):
    """A request that needs the database."""

    service: OrchestratorService

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        raised = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(raised, CONNECTION_ERRORS):
            gone = DatabaseUnavailable("the database does not answer; try again in a moment")
            kwargs["exc_info"] = (type(gone), gone, None)
        super().write_error(status_code, **kwargs)

    async def send(self, text: str | bytes) -> None:
        """Write a part of the answer, no faster than the client reads.

        Raises:
            StreamClosedError: it left, or stopped reading.
        """
        self.write(text)
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await self.flush()
        except TimeoutError as stalled:
            raise StreamClosedError(stalled) from stalled

    async def job(self, id: str) -> Job:
        """The job of a URL.

        Raises:
            JobNotFound: there is none.
        """
        async with self.service.pool.connection() as connection:
            jobs = await job_queries.jobs_by_id(connection, [int(id)])
        if not jobs:
            raise JobNotFound(f"there is no job {id}; GET /api/jobs lists them")
        return jobs[0]


class JobsHandler(OrchestratorHandler):
    """``POST /api/jobs`` submits; ``GET /api/jobs`` lists, newest first."""

    max_body_bytes = 12 << 20

    async def post(self) -> None:
        request = self.read_body(SubmitRequest)
        if request.webhook and not self.service.takes_webhooks:
            raise BadRequest("webhook: this service signs no messages; set [webhooks] secret_file in its config.cfg")
        submitted = await self.service.submissions.submit_all(
            request.bucket_name or self.service.default_bucket,
            request.savepaths or [request.savepath or ""],
            request,
            request.priority,
            request.force,
            request.webhook,
            request.force_until,
        )
        self.set_status(202)
        jobs = [{**job.model_dump(mode="json"), "outcome": outcome} for job, outcome in submitted.jobs]
        self.finish({"jobs": jobs, "warning": submitted.warning})

    async def get(self) -> None:
        query = self.read_query(JobsQuery)
        async with self.service.pool.connection() as connection:
            wanted = JobFilter(query.state, query.prefix, query.text, query.bucket_name)
            page = await page_of_jobs(connection, wanted, query.after, query.limit)
        self.finish({"jobs": [job.model_dump(mode="json") for job in page.jobs], "next": page.next})


class JobHandler(OrchestratorHandler):
    """``GET /api/jobs/{id}``; ``DELETE`` removes one without a transcript."""

    async def get(self, id: str) -> None:
        self.finish((await self.job(id)).model_dump(mode="json"))

    async def delete(self, id: str) -> None:
        self.finish((await self.service.deletions.delete_job(int(id))).model_dump())


class CancelHandler(OrchestratorHandler):
    """``POST /api/jobs/{id}/cancel``."""

    async def post(self, id: str) -> None:
        await self.job(id)
        changed = await self.service.submissions.cancel([int(id)])
        self.finish({**(await self.job(id)).model_dump(mode="json"), "changed": bool(changed)})


class RetryHandler(OrchestratorHandler):
    """``POST /api/jobs/{id}/retry``."""

    async def post(self, id: str) -> None:
        await self.job(id)
        changed = await self.service.submissions.retry([int(id)])
        self.finish({**(await self.job(id)).model_dump(mode="json"), "changed": bool(changed)})


class TranscriptHandler(OrchestratorHandler):
    """``GET /api/transcripts/{savepath}?format=``: a part at a time, never whole; ``DELETE`` forgets the recording."""

    async def delete(self, savepath: str) -> None:
        query = self.read_query(DeleteQuery)
        check_storable(savepath)
        bucket = query.bucket_name or self.service.default_bucket
        if query.dry_run:
            async with self.service.pool.connection() as connection:
                deleted = await deletion.count(connection, bucket, [savepath])
        else:
            deleted = await self.service.deletions.delete(bucket, [savepath])
        if not deleted.savepaths:
            raise job_queries.not_submitted(bucket, savepath, self.service.default_bucket)
        self.finish(deleted.model_dump())

    async def get(self, savepath: str) -> None:
        query = self.read_query(TranscriptQuery)
        check_storable(savepath)
        bucket = query.bucket_name or self.service.default_bucket
        async with self.service.pool.connection() as connection:
            job = await job_queries.newest_finished(connection, bucket, savepath)
            if job is None:
                raise await transcript_queries.no_transcript(connection, bucket, savepath, self.service.default_bucket)
            about = await transcript_queries.about_transcript(connection, job, query.as_heard)
            modified = await history.last_made_at(connection, job.id) if job.revision else None
        assert job.finished_at
        self.set_header("ETag", f'"{version()}-{job.id}-{job.revision}"')
        self.set_header("Last-Modified", max(job.finished_at, modified or job.finished_at))
        self.set_header("Cache-Control", "private, no-cache")
        if self.check_etag_header():
            self.set_status(304)
            return
        self.set_header("Content-Type", query.format.content_type)
        async for part in parts(self.service.pool, about, query.format, query.timestamps):
            await self.send(part)
        self.finish()


def check_storable(savepath: str) -> None:
    """Refuse a savepath that no object can have.

    Raises:
        BadRequest: it holds a NUL character.
    """
    if "\0" in savepath:
        raise BadRequest("a savepath holds no NUL character")


class StatusHandler(OrchestratorHandler):
    """``GET /api/status``: jobs in each state, audio done and left, speed, rules, workers, and what is not stored."""

    async def get(self) -> None:
        query = self.read_query(StatusQuery)
        async with self.service.pool.connection() as connection:
            queue = await overview(connection, query.bucket_name, query.prefix)
            oldest = await stats.oldest_waiting_seconds(connection)
            rules = await active_rules(connection)
            results = await pending_results(connection) if self.service.stores_results else None
        workers = await self.service.queue.count_workers()
        figures = queue.figures(workers)
        figures |= {"states": queue.states, "oldest_seconds": oldest, "workers": workers}
        status = Status(**figures, rules=rules, results=results)
        self.finish(status.model_dump(mode="json"))


class SearchHandler(OrchestratorHandler):
    """``GET /api/search?q=``: segments that hold these words, or their recordings, the newest transcripts first."""

    async def get(self) -> None:
        query = self.read_query(SearchQuery)
        async with self.service.pool.connection() as connection:
            named = [] if query.after else await titled(connection, query, self.service.default_bucket)
            of_titles = [recording.model_dump() for recording in named]
            if query.grouped:
                grouped = await search_recordings(connection, query, self.service.default_bucket)
                recordings = [
                    {**recording.model_dump(mode="json"), "hits": self._linked(recording.hits)}
                    for recording in grouped.recordings
                ]
                self.finish({"recordings": recordings, "next": grouped.next, "titled": of_titles})
                return
            found = await search(connection, query, self.service.default_bucket)
        self.finish({"hits": self._linked(found.hits), "next": found.next, "titled": of_titles})

    def _linked(self, hits: Iterable[Hit]) -> list[dict[str, Any]]:
        return [{**hit.model_dump(mode="json"), "link": self.service.link(hit.link)} for hit in hits]


class OrchestratorHealthHandler(HealthHandler):
    """``GET /healthz``: whether this service and its database work, and how many jobs are in which state."""

    service: OrchestratorService

    async def health(self) -> dict[str, Any]:
        health = await super().health()
        try:
            async with self.service.pool.connection(timeout=3) as connection:
                health["jobs"] = await stats.count_by_state(connection)
            return {**health, "database": "ok"}
        except CONNECTION_ERRORS:
            problems = ["the database does not answer", *health["problems"]]
            return {**health, "database": "unreachable", "status": "broken", "problems": problems}
