"""Reading transcripts.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from psycopg.rows import class_row, dict_row
from pydantic import Field

from orchestrator.database.sql import Connection, Parameters, fetch_all, fetch_models, fetch_value, starting_with
from orchestrator.jobs.models import TRANSCRIBE, Job, Prefix, Record
from orchestrator.jobs.queries import current_jobs, jobs_by_id, newest_finished, not_submitted
from orchestrator.transcripts.filters import NO_FILTERS, TranscriptFilters, newest
from orchestrator.transcripts.models import Receipt, ReceiptPart, Transcript, TranscriptSegment
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.transcriber import LanguageCode
from reelscribe.errors import ServiceError, TranscriptNotFound

PAGE = 1000
"""Savepaths of a page."""


async def transcript(connection: Connection, bucket: str, savepath: str, as_heard: bool = False) -> Transcript | None:
    """The newest finished transcript of a savepath; ``as_heard``: as the model wrote it, without edits."""
    found = await newest_finished(connection, bucket, savepath)
    return await transcript_of(connection, found, as_heard) if found else None


async def transcript_of(connection: Connection, job: Job, as_heard: bool = False) -> Transcript:
    """The transcript of a finished job."""
    about = await about_transcript(connection, job, as_heard)
    return about.model_copy(update={"segments": await segments(connection, job.id, as_heard=as_heard)})


async def about_transcript(connection: Connection, job: Job, as_heard: bool = False) -> Transcript:
    """The transcript of a finished job without its segments, which may be many."""
    async with connection.cursor(row_factory=class_row(ReceiptPart)) as receipts:
        await receipts.execute("select * from attempts where transcription_id = %s order by attempt", (job.id,))
        parts = await receipts.fetchall()
    return Transcript(job=job, receipt=Receipt.of(job, parts), segments=[], as_heard=as_heard)


_SEGMENT = """
    select index, start_seconds as start, end_seconds as end, text, tokens, words, avg_logprob, no_speech_prob,
        compression_ratio, temperature, language
"""
_EDITED = """
    , case when revision is not null then
        jsonb_build_object('revision', revision, 'author', author, 'made_at', edited_at)
    end as edited
"""


async def segments(
    connection: Connection, id: int, after: int = -1, limit: int | None = None, as_heard: bool = False
) -> list[TranscriptSegment]:
    """Segments of a transcription in order; ``after`` is the last index of the part before."""
    columns = f"{_SEGMENT} from transcribed_segments" if as_heard else f"{_SEGMENT} {_EDITED} from segments"
    return await _segments(
        connection,
        f"{columns} where transcription_id = %s and index > %s order by index limit %s",
        (id, after, limit),
    )


async def segments_between(connection: Connection, id: int, start: float, end: float) -> list[TranscriptSegment]:
    """Those whose middle is between two times."""
    return await _segments(
        connection,
        f"""
        {_SEGMENT} {_EDITED} from segments where transcription_id = %(id)s
            and (start_seconds + end_seconds) / 2 between %(start)s and %(end)s order by index
        """,
        {"id": id, "start": start, "end": end},
    )


async def _segments(connection: Connection, statement: str, parameters: Parameters) -> list[TranscriptSegment]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, parameters)
        return [TranscriptSegment.model_validate(row) for row in await cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Line:
    """What a reader sees of a segment; ``author``: who wrote it, if that was a person."""

    index: int
    start: float
    end: float
    text: str
    author: str | None


async def lines(connection: Connection, id: int, first: int, last: int) -> list[Line]:
    """Segments from one index to another, without what only programs need: that takes a tenth of the time.

    With a limit in place of the last index, PostgreSQL reads and sorts all that follows if it expects few.
    """
    rows = await fetch_all(
        connection,
        """
        select index, start_seconds, end_seconds, text, author
        from segments where transcription_id = %s and index between %s and %s order by index
        """,
        (id, first, last),
    )
    return [Line(*row) for row in rows]


async def last_index(connection: Connection, id: int) -> int:
    """Of the segments of a transcription; -1 if it has none."""
    last: int = await fetch_value(
        connection, "select coalesce(max(index), -1) from segments where transcription_id = %s", (id,)
    )
    return last


async def lines_between(
    connection: Connection, id: int, start: float, end: float, after: int, limit: int, as_heard: bool = False
) -> list[Line]:
    """As :func:`lines`, of those that are spoken between two times in seconds."""
    source, author = ("transcribed_segments", "null") if as_heard else ("segments", "author")
    rows = await fetch_all(
        connection,
        f"""
        select index, start_seconds, end_seconds, text, {author} from {source}
        where transcription_id = %(id)s and index > %(after)s
            and (end_seconds > %(start)s or start_seconds >= %(start)s) and start_seconds < %(end)s
        order by index limit %(limit)s
        """,
        {"id": id, "after": after, "start": start, "end": end, "limit": limit},
    )
    return [Line(*row) for row in rows]


async def shown_job(
    connection: Connection, bucket: str, savepath: str, default_bucket: str, id: int | None = None
) -> Job:
    """The job whose segments are those of a savepath: the one with this id, else the newest finished one, else the
    newest.

    Raises:
        TranscriptNotFound: there is none.
    """
    if id is not None:
        for job in await jobs_by_id(connection, [id]):
            if (job.kind, job.bucket, job.savepath) == (TRANSCRIBE, bucket, savepath):
                return job
        raise TranscriptNotFound(f"{savepath} has no job {id}; it may have been removed")
    if finished := await newest_finished(connection, bucket, savepath):
        return finished
    if jobs := await current_jobs(connection, bucket, [savepath]):
        return jobs[-1]
    raise not_submitted(bucket, savepath, default_bucket)


def _finished(filters: TranscriptFilters) -> str:
    conditions = filters.conditions("t")
    wanted = "".join(f" and {condition}" for condition in (newest("t"), *conditions)) if conditions else ""
    return f"""
    from media m
    where m.bucket = %(bucket)s and m.savepath like %(prefix)s
        and (%(savepaths)s::text[] is null or m.savepath = any(%(savepaths)s))
        and exists (select from transcriptions t where t.media_id = m.id and t.state = 'done'{wanted})
    """


async def finished_savepaths(
    connection: Connection,
    bucket: str,
    prefix: str = "",
    savepaths: list[str] | None = None,
    after: str = "",
    filters: TranscriptFilters = NO_FILTERS,
) -> list[str]:
    """A page of the savepaths (of these, or of all) that have a transcript, in order; ``after`` is the last of the page
    before.
    """
    cursor = await connection.execute(
        f"""
        select m.savepath {_finished(filters)} and m.savepath > %(after)s
        order by m.savepath limit %(limit)s
        """,
        {
            "bucket": bucket,
            "prefix": starting_with(prefix),
            "savepaths": savepaths,
            "after": after,
            "limit": PAGE,
            **filters.parameters(),
        },
    )
    return [row[0] for row in await cursor.fetchall()]


async def count_finished(
    connection: Connection,
    bucket: str,
    prefix: str = "",
    savepaths: list[str] | None = None,
    filters: TranscriptFilters = NO_FILTERS,
) -> int:
    """How many there are."""
    cursor = await connection.execute(
        f"select count(*) {_finished(filters)}",
        {"bucket": bucket, "prefix": starting_with(prefix), "savepaths": savepaths, **filters.parameters()},
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def shares_stem(connection: Connection, bucket: str, savepath: str) -> bool:
    """Whether another recording with a transcript has the same name up to its ending: ``a/b.mp4`` and ``a/b.wav``."""
    return bool(await sharing_stem(connection, bucket, savepath))


async def sharing_stem(connection: Connection, bucket: str, savepath: str) -> dict[str, int]:
    """The savepaths of those others, with the ids of their recordings."""
    begin = savepath.removesuffix(PurePosixPath(savepath).suffix)
    rows = await fetch_all(
        connection,
        """
        select m.savepath, m.id from media m
        where m.bucket = %(bucket)s and m.savepath <> %(savepath)s
            and (m.savepath like %(begin)s or m.savepath = %(stem)s)
            and substr(m.savepath, length(%(stem)s::text) + 2) !~ '[/.]'
            and exists (select from transcriptions t where t.media_id = m.id and t.state = 'done')
        """,
        {"bucket": bucket, "savepath": savepath, "begin": starting_with(f"{begin}."), "stem": begin},
    )
    return dict(rows)


class ListQuery(WireModel):
    """Which transcripts to list: of savepaths that start with ``prefix``, in one language or any."""

    prefix: Prefix = ""
    language: LanguageCode | None = None
    limit: int = Field(default=100, ge=1, le=10_000)


class ListedTranscript(Record):
    """The newest transcript of a savepath in a list; ``seconds`` of the recording, ``job`` its id."""

    savepath: str
    title: str | None
    job: int
    language: str | None
    seconds: float
    model: str | None
    complete: bool
    finished_at: datetime
    object_removed_at: datetime | None


async def listed(
    connection: Connection,
    bucket: str,
    query: ListQuery,
    after: str = "",
    filters: TranscriptFilters | None = None,
) -> list[ListedTranscript]:
    """Transcripts in the order of their savepaths; ``after`` is the last savepath of the page before.

    Args:
        filters: None: the language of the query.
    """
    filters = filters or TranscriptFilters(language=query.language)
    return await fetch_models(
        connection,
        ListedTranscript,
        f"""
        select m.savepath, m.title, t.id as job, t.language, t.progress_seconds as seconds, t.model, t.complete,
            t.finished_at, m.removed_at as object_removed_at
        from media m join transcriptions t on t.media_id = m.id and t.state = 'done'
        where m.bucket = %(bucket)s and m.savepath like %(prefix)s and m.savepath > %(after)s
            and {" and ".join([newest("t"), *filters.conditions("t")])}
        order by m.savepath limit %(limit)s
        """,
        {
            "bucket": bucket,
            "prefix": starting_with(query.prefix),
            "after": after,
            "limit": query.limit,
            **filters.parameters(),
        },
    )


async def no_transcript(connection: Connection, bucket: str, savepath: str, default_bucket: str) -> ServiceError:
    """Why there is no transcript of a savepath, and what to do."""
    return (await no_transcripts(connection, bucket, [savepath], default_bucket))[savepath]


async def no_transcripts(
    connection: Connection, bucket: str, savepaths: Collection[str], default_bucket: str
) -> dict[str, ServiceError]:
    """The same for each of these savepaths."""
    jobs = {job.savepath: job for job in await current_jobs(connection, bucket, list(savepaths))} if savepaths else {}
    return {
        savepath: _not_yet(jobs[savepath], default_bucket)
        if savepath in jobs
        else not_submitted(bucket, savepath, default_bucket)
        for savepath in savepaths
    }


def _not_yet(job: Job, default_bucket: str) -> ServiceError:
    situation = job.situation(default_bucket)
    return TranscriptNotFound(f"{job.savepath} has no transcript yet: {situation}", job=job.id, state=job.state)
