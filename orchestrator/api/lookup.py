"""What clients of another host ask in addition: what this service is, jobs by name, and the transcripts there are."""

from orchestrator.api.handlers import OrchestratorHandler, check_storable
from orchestrator.api.schemas import (
    About,
    AboutQuery,
    AboutTranscript,
    JobsFound,
    JobsLookup,
    TranscriptPage,
    TranscriptsQuery,
)
from orchestrator.errors import DatabaseUnavailable
from orchestrator.exports.pending_results import STORE_MEDIA, pending_results
from orchestrator.jobs import queries as job_queries
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.filters import TranscriptFilters
from reelscribe import errors
from reelscribe.contracts.scopes import Scope
from reelscribe.http.api.operations import JSON, Answer, Operation
from reelscribe.version import version


class AboutHandler(OrchestratorHandler):
    """``GET /api/about``."""

    async def get(self) -> None:
        service = self.service
        about = About(
            version=version(),
            bucket=service.default_bucket,
            url=service.public_url,
            takes_webhooks=service.takes_webhooks,
            resubmits=service.resubmits,
        )
        self.finish(about.model_dump())


class JobsLookupHandler(OrchestratorHandler):
    """``POST /api/jobs/lookup``: it changes nothing, but a URL has no room for so many names."""

    max_body_bytes = 12 << 20

    async def post(self) -> None:
        wanted = self.read_body(JobsLookup)
        bucket = wanted.bucket_name or self.service.default_bucket
        async with self.service.pool.connection() as connection:
            jobs = await job_queries.jobs_by_id(connection, wanted.ids) if wanted.ids else []
            named = (
                await job_queries.current_jobs(connection, bucket, wanted.savepaths, wanted.options)
                if wanted.savepaths
                else []
            )
            results = None
            if named and self.service.stores_results:
                results = await pending_results(connection, [job.id for job in named])
        self.finish(JobsFound(jobs=[*jobs, *named], results=results).model_dump(mode="json"))


class TranscriptsHandler(OrchestratorHandler):
    """``GET /api/transcripts``."""

    async def get(self) -> None:
        query = self.read_query(TranscriptsQuery)
        filters = TranscriptFilters(language=query.language, since=query.since, min_confidence=query.min_confidence)
        bucket = query.bucket_name or self.service.default_bucket
        async with self.service.pool.connection() as connection:
            found = await transcript_queries.listed(connection, bucket, query, query.after or "", filters)
        following = found[-1].savepath if len(found) == query.limit else None
        self.finish(TranscriptPage(transcripts=found, next=following).model_dump(mode="json"))


class AboutTranscriptHandler(OrchestratorHandler):
    """``GET /api/transcripts/{savepath}/about``."""

    async def get(self, savepath: str) -> None:
        query = self.read_query(AboutQuery)
        check_storable(savepath)
        service = self.service
        bucket = query.bucket_name or service.default_bucket
        async with service.pool.connection() as connection:
            job = await job_queries.newest_finished(connection, bucket, savepath)
            if job is None:
                raise await transcript_queries.no_transcript(connection, bucket, savepath, service.default_bucket)
            found = AboutTranscript(
                job=job,
                receipt=(await transcript_queries.about_transcript(connection, job, query.as_heard)).receipt,
                results=await pending_results(connection, [job.id]) if service.stores_results else None,
                given_up=await job_queries.why_given_up(connection, STORE_MEDIA, job.id),
            )
        self.finish(found.model_dump(mode="json"))


ABOUT_OPERATIONS = (
    Operation(
        "GET",
        "/api/about",
        "about",
        "What a client of another host has to know of this service",
        (Answer("Its version, its bucket, its URL, and what it does.", {JSON: About}),),
        handler=AboutHandler,
    ),
    Operation(
        "POST",
        "/api/jobs/lookup",
        "lookUpJobs",
        "Jobs by their ids, or the newest ones of savepaths; what is not known is left out",
        (Answer("The jobs.", {JSON: JobsFound}),),
        (errors.BodyTooLarge, DatabaseUnavailable),
        body=JobsLookup,
        scope=Scope.READ,
        handler=JobsLookupHandler,
    ),
)
TRANSCRIPT_LIST_OPERATIONS = (
    Operation(
        "GET",
        "/api/transcripts",
        "transcripts",
        "A page of the newest transcript of each savepath, without their text",
        (Answer("The page.", {JSON: TranscriptPage}),),
        (DatabaseUnavailable,),
        query=TranscriptsQuery,
        handler=TranscriptsHandler,
    ),
    Operation(
        "GET",
        "/api/transcripts/{savepath}/about",  # before the transcript itself, which would take it for a savepath
        "aboutTranscript",
        "The newest transcript of a savepath without its text: its job, its receipt, and what is not stored of it",
        (Answer("All but the text.", {JSON: AboutTranscript}),),
        (errors.TranscriptNotFound, DatabaseUnavailable),
        query=AboutQuery,
        path_parameters={"savepath": ".+"},
        handler=AboutTranscriptHandler,
    ),
)
