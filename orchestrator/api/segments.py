"""``GET /api/transcripts/{savepath}/segments``: the text of a recording page by page, also while its job runs."""

from pydantic import Field

from orchestrator.api.handlers import OrchestratorHandler, check_storable
from orchestrator.jobs.models import Job, Record
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.models import TranscriptSegment
from reelscribe.contracts.messages import WireModel
from reelscribe.settings.fields import BucketName

MOST_SEGMENTS = 1000
"""Of one page."""


class SegmentsQuery(WireModel):
    """Query of ``GET /api/transcripts/{savepath}/segments``."""

    job: int | None = Field(
        default=None, ge=1, le=10**18, description="whose segments; without it, those of the newest transcript, or else"
        " of the newest job"
    )  # fmt: skip
    after: int = Field(default=-1, ge=-1, le=10**9, description="the last index of the page before")
    limit: int = Field(default=200, ge=1, le=MOST_SEGMENTS)
    bucket_name: BucketName | None = None


class SegmentPage(Record):
    """Answer of ``GET /api/transcripts/{savepath}/segments``; ``next`` is the ``after`` of the next page, None if there
    is no further segment now. While ``job`` is not finished, more follow; if its ``attempt`` changes, those that begin
    at its ``progress_seconds`` or later are made again.
    """

    job: Job
    segments: list[TranscriptSegment]
    next: int | None


class SegmentsHandler(OrchestratorHandler):
    """A page of the segments of a job of this savepath, whatever its state."""

    async def get(self, savepath: str) -> None:
        query = self.read_query(SegmentsQuery)
        check_storable(savepath)
        bucket = query.bucket_name or self.service.default_bucket
        async with self.service.pool.connection() as connection:
            job = await transcript_queries.shown_job(
                connection, bucket, savepath, self.service.default_bucket, query.job
            )
            found = await transcript_queries.segments(connection, job.id, query.after, query.limit + 1)
        page = found[: query.limit]
        following = page[-1].index if len(found) > query.limit else None
        self.set_header("Cache-Control", "private, no-cache")
        self.finish(SegmentPage(job=job, segments=page, next=following).model_dump(mode="json"))
