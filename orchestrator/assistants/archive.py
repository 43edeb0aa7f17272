"""What the tools do. Each asks the same modules as the commands and the HTTP API."""

from orchestrator.assistants.models import (
    FoundSegment,
    FoundTitle,
    JobAnswer,
    JobArguments,
    ListAnswer,
    ListArguments,
    ListedRecording,
    SearchAnswer,
    SearchArguments,
    SpokenSegment,
    SubmitAnswer,
    SubmitArguments,
    SubmittedRecording,
    TranscriptAnswer,
    TranscriptArguments,
)
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.matching import JobFilter, page_of_jobs
from orchestrator.jobs.models import Job, Options
from orchestrator.session import Session
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.addresses import moment, recording_path
from orchestrator.transcripts.queries import Line
from orchestrator.transcripts.search import Hit, SearchQuery
from orchestrator.transcripts.search import search as search_segments
from orchestrator.transcripts.titles import titled
from reelscribe.errors import BadRequest, JobNotFound
from reelscribe.text.srt_vtt import clock, one_line

MOST_SEGMENTS = 300
MOST_CHARACTERS = 16_000
"""Of one answer: an assistant reads all of it."""
LONGEST_TEXT = 2_000
"""Characters of one segment; a model that repeats itself writes more."""


async def search(session: Session, wanted: SearchArguments) -> SearchAnswer:
    """What was said with these words.

    Raises:
        ValidationError: the query cannot be searched for, by the names of ``SearchQuery``.
        SearchTooLong: see :func:`orchestrator.transcripts.search.search`.
    """
    query = SearchQuery(
        q=wanted.query,
        prefix=wanted.prefix,
        language=wanted.language,
        limit=wanted.limit,
        after=wanted.cursor,
        bucket_name=wanted.bucket,
    )
    usual = session.bucket(None)
    async with session.pool.connection() as connection:
        found = await search_segments(connection, query, usual)
        recordings = [] if wanted.cursor else await titled(connection, query, usual)
    return SearchAnswer(
        hits=[_found(session, hit) for hit in found.hits],
        titled=[
            FoundTitle(**recording.model_dump(), link=_link(session, recording.bucket, recording.savepath))
            for recording in recordings
        ],
        next=found.next,
    )


async def transcript(session: Session, wanted: TranscriptArguments) -> TranscriptAnswer:
    """A window of a transcript, or the beginning of it if it is longer than an answer may be.

    Raises:
        TranscriptNotFound: there is none.
        BadRequest: the cursor is of another transcript.
    """
    bucket, savepath, usual = session.bucket(wanted.bucket), wanted.savepath, session.bucket(None)
    of, last = map(int, wanted.cursor.split(".")) if wanted.cursor else (None, -1)
    async with session.pool.connection() as connection:
        job = await job_queries.newest_finished(connection, bucket, savepath)
        if job is None:
            raise await transcript_queries.no_transcript(connection, bucket, savepath, usual)
        if of not in (None, job.id):
            raise BadRequest("cursor: is of another transcript, which a newer one may have replaced; leave it out")
        start, end = wanted.window
        found = await transcript_queries.lines_between(
            connection, job.id, start, end, last, MOST_SEGMENTS + 1, wanted.as_heard
        )
    shown = _fitting(found)
    following = found[len(shown)] if len(found) > len(shown) else None
    cursor = f"{job.id}.{shown[-1].index}" if following else None
    return TranscriptAnswer(
        savepath=savepath,
        bucket=bucket,
        title=job.title,
        language=job.language,
        seconds=round(job.progress_seconds, 2),
        complete=bool(job.complete),
        reason=job.reason,
        note=job.note or job.removal or None,
        segments=[
            SpokenSegment(
                start=round(line.start, 2), end=round(line.end, 2), text=shortened(line.text), corrected_by=line.author
            )
            for line in shown
        ],
        follows=f"more follows from {clock(following.start)} on: call transcript again with cursor {cursor}"
        if following
        else None,
        next=cursor,
        link=_link(session, bucket, savepath, shown[0].start if shown else None),
    )


def _fitting(found: list[Line]) -> list[Line]:
    """As many of the first ones as an answer may have, and at least one."""
    shown: list[Line] = []
    room = MOST_CHARACTERS
    for line in found[:MOST_SEGMENTS]:
        room -= min(len(line.text), LONGEST_TEXT)
        if shown and room < 0:
            break
        shown.append(line)
    return shown


async def list_recordings(session: Session, wanted: ListArguments) -> ListAnswer:
    """Recordings of all buckets, the newest jobs first."""
    async with session.pool.connection() as connection:
        page = await page_of_jobs(
            connection,
            JobFilter(wanted.state, wanted.prefix or None),
            int(wanted.cursor) if wanted.cursor else None,
            wanted.limit,
        )
    return ListAnswer(
        recordings=[_listed(session, job) for job in page.jobs],
        next=None if page.next is None else str(page.next),
    )


async def job(session: Session, wanted: JobArguments) -> JobAnswer:
    """The state of one job.

    Raises:
        JobNotFound: there is none.
    """
    async with session.pool.connection() as connection:
        jobs = await job_queries.jobs_by_id(connection, [wanted.job])
    if not jobs:
        raise JobNotFound(f"there is no job {wanted.job}; list_recordings lists them")
    [found] = jobs
    return JobAnswer(
        **_listed(session, found).model_dump(),
        transcribed_seconds=round(found.progress_seconds, 2),
        situation=found.situation(session.bucket(None)),
    )


async def submit(session: Session, wanted: SubmitArguments) -> SubmitAnswer:
    """Have recordings transcribed."""
    submitted = await session.submissions.submit(session.bucket(wanted.bucket), wanted.savepaths, Options())
    waits = any(not job.finished for job, _ in submitted) and not await session.queue.count_workers()
    return SubmitAnswer(
        jobs=[
            SubmittedRecording(job=job.id, savepath=job.savepath, bucket=job.bucket, state=job.state, outcome=outcome)
            for job, outcome in submitted
        ],
        note="no worker is running; the jobs wait for one: orchestrator up (or serve, or worker)" if waits else None,
    )


def _found(session: Session, hit: Hit) -> FoundSegment:
    said = hit.text[slice(*hit.marks[0])] if hit.marks else None
    return FoundSegment(
        savepath=hit.savepath,
        bucket=hit.bucket,
        start=round(hit.start, 2),
        end=round(hit.end, 2),
        text=shortened(hit.text),
        language=hit.language,
        link=_link(session, hit.bucket, hit.savepath, hit.start, said),
    )


def _listed(session: Session, job: Job) -> ListedRecording:
    seconds = job.declared_seconds or (job.progress_seconds if job.state == "done" else None)
    return ListedRecording(
        job=job.id,
        savepath=job.savepath,
        bucket=job.bucket,
        title=job.title,
        state=job.state,
        language=job.language,
        seconds=seconds and round(seconds, 2),
        complete=job.complete,
        reason=job.reason or (job.error.message if job.error else None),
        submitted_at=job.created_at,
        finished_at=job.finished_at,
        link=_link(session, job.bucket, job.savepath),
    )


def shortened(text: str) -> str:
    """A text in one line, no longer than is read."""
    text = one_line(text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} … (this segment is longer)"


def _link(session: Session, bucket: str, savepath: str, start: float | None = None, said: str | None = None) -> str:
    """The page of a recording, at a moment, with the words that were said there."""
    other = None if bucket == session.bucket(None) else bucket
    path = recording_path("/media/", savepath, bucket_name=other, q=said)
    return session.settings.orchestrator.base_url + path + ("" if start is None else moment(start))
