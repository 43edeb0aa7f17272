"""The page of a recording: its player and its transcript, all of which is in the HTML."""

from pathlib import PurePosixPath
from typing import NamedTuple

from pydantic import Field

from orchestrator.api.handlers import check_storable
from orchestrator.jobs.models import Job
from orchestrator.jobs.queries import current_jobs, newest_finished
from orchestrator.page import facts
from orchestrator.page.addresses import Addresses
from orchestrator.page.formats import clock, universal_time
from orchestrator.page.handler import PageHandler
from orchestrator.page.lines import LINES_OF_A_PART, parts
from orchestrator.transcripts import queries as transcript_queries
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.scopes import Scope
from reelscribe.settings.fields import BucketName
from reelscribe.text.file_names import FileNames
from reelscribe.text.formats import Format

LINES_PER_READ = 1000
"""A few milliseconds of work: other requests are served in between."""
PARTS = "<!-- parts -->"
"""What the template has in place of the segments. Nothing that people have written can be it: that is escaped."""


class RecordingQuery(WireModel):
    """Query of ``GET /media/{savepath}``; ``q`` is what the page finds in the text."""

    job: int | None = Field(default=None, ge=1, le=10**18)
    bucket_name: BucketName | None = None
    q: str = Field(default="", max_length=500)


class Download(NamedTuple):
    """A transcript as a file."""

    format: Format
    address: str
    name: str


class RecordingPage(PageHandler):
    """``GET /media/{savepath}``: the transcript, or what there is of it, or why there is none."""

    async def get(self, savepath: str) -> None:
        query = self.read_query(RecordingQuery)
        check_storable(savepath)
        default_bucket = self.service.default_bucket
        bucket = query.bucket_name or default_bucket
        async with self.service.pool.connection() as connection:
            job = await transcript_queries.shown_job(connection, bucket, savepath, default_bucket, query.job)
            newest = max([job, *await current_jobs(connection, bucket, [savepath])], key=lambda known: known.id)
            readable = await newest_finished(connection, bucket, savepath)
            about = await transcript_queries.about_transcript(connection, job) if job.state == "done" else None
        addresses = Addresses(job, default_bucket)
        is_readable = readable is not None and readable.id == job.id
        may_edit = self.caller.may(Scope.SUBMIT)
        text_language = about.text_language if about else job.language
        page = self.render_string(
            "recording.html",
            addresses=addresses,
            downloads=_downloads(job, addresses, text_language or ""),
            facts=facts,
            folder=str(PurePosixPath(savepath).parent),
            job=job,
            name=PurePosixPath(savepath).name,
            newer=newest if newest.id != job.id else None,
            editable=may_edit and (is_readable or not job.finished),
            edits=addresses.edits if may_edit and is_readable else "",
            query=query,
            receipt=list(facts.receipt_facts(about.receipt)) if about else [],
            text_language=text_language,
            clock=clock,
            universal_time=universal_time,
            Format=Format,
        ).decode()
        before, after = page.split(PARTS)
        await self.send(before)
        await self._send_lines(job)
        self.finish(after)

    async def _send_lines(self, job: Job) -> None:
        """The segments, some at a time: ten hours have 15 000."""
        first, last = 0, LINES_OF_A_PART - 1  # the browser begins while the others are read
        while True:
            async with self.service.pool.connection() as connection:
                known = await transcript_queries.last_index(connection, job.id)
                lines = await transcript_queries.lines(connection, job.id, first, last)
            if lines:
                await self.send(parts(lines))
            if last >= known:
                return
            first, last = last + 1, last + LINES_PER_READ


def _downloads(job: Job, addresses: Addresses, language: str) -> list[Download]:
    names = FileNames()
    return [
        Download(
            format,
            addresses.transcript(format),
            PurePosixPath(names.name(job.savepath, format, language, job.model or "")).name,
        )
        for format in Format
    ]
