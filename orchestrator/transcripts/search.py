"""Search: which segments hold these words, the newest transcripts first."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from psycopg.rows import class_row
from pydantic import AfterValidator, Field

from orchestrator.database.sql import Connection, fetch_value, starting_with
from orchestrator.jobs.models import Record, storable
from orchestrator.transcripts.filters import Since, TranscriptFilters, Until, last_modified, newest
from orchestrator.transcripts.search_index import Range, Searched, is_complete, searched
from orchestrator.transcripts.words import LEAD_WORDS, Term, parse
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.transcriber import LanguageCode
from reelscribe.settings.fields import BucketName

FEW = 10_000
"""Segments; if no more hold the words, all are read from the index. Else they are looked for in one part of the archive
after the other, the newest first, until the page is full."""
HITS_OF_A_RECORDING = 5
MOST_COUNTED = 1000
LAST_INDEX = 999_999_999


def _checked_query(query: str) -> str:
    parse(query)
    return query


class SearchQuery(WireModel):
    """Query of ``GET /api/search``.

    Attributes:
        prefix: of savepaths.
        since: recordings that were modified then or later; without a zone, in UTC.
        until: recordings that were modified before then; of a date without a time, that day is included.
        grouped: by recording; ``limit`` is then how many recordings.
        after: ``next`` of the page before.
    """

    q: Annotated[str, AfterValidator(_checked_query)] = Field(max_length=500)
    prefix: Annotated[str, AfterValidator(storable)] = Field(default="", max_length=1024)
    language: LanguageCode | None = None
    since: Since | None = None
    until: Until | None = None
    grouped: bool = Field(default=False, strict=False)
    limit: int = Field(default=20, ge=1, le=1000)
    after: str | None = Field(default=None, pattern=r"^[0-9]{1,18}\.[0-9]{1,9}$")
    bucket_name: BucketName | None = None


class Hit(Record):
    """A segment that holds what was searched for.

    Attributes:
        start, end: seconds of the recording; if the phrase begins in an earlier segment, ``text`` begins there too.
        marks: the ranges of characters of ``text`` that are the words.
        link: shows the transcript: path and query of the orchestrator, after its ``public_url`` if that is set.
    """

    job: int
    index: int
    bucket: str
    savepath: str
    language: str | None
    start: float
    end: float
    text: str
    marks: tuple[tuple[int, int], ...] = ()
    link: str = ""


class Recording(Record):
    """A recording in which something was found.

    Attributes:
        seconds: of audio.
        modified: when its object was; if that is unknown, when the transcript was finished.
        count: segments that hold the words; no more than 1000 are counted.
        hits: the first of them.
    """

    job: int
    bucket: str
    savepath: str
    language: str | None
    seconds: float
    modified: datetime
    count: int
    hits: tuple[Hit, ...] = ()


class Found(NamedTuple):
    """One page of hits; ``next`` is the ``after`` of the next one, None on the last."""

    hits: list[Hit]
    next: str | None


class FoundRecordings(NamedTuple):
    """One page of recordings; ``next`` is the ``after`` of the next one, None on the last."""

    recordings: list[Recording]
    next: str | None


class _Row(Record):
    """A recording, and which of its segments hold the words."""

    job: int
    bucket: str
    savepath: str
    language: str | None
    seconds: float
    modified: datetime
    indexes: list[int]


class Statement(NamedTuple):
    """SQL and its parameters."""

    sql: str
    parameters: Mapping[str, Any]


async def search(connection: Connection, query: SearchQuery, default_bucket: str) -> Found:
    """One page of segments that hold all terms, in the newest finished transcript of each savepath."""
    chosen: list[tuple[_Row, int]] = []
    async with aclosing(_rows(connection, query, default_bucket, query.limit + 1)) as rows:
        async for row in rows:
            chosen += [(row, index) for index in row.indexes[: query.limit + 1 - len(chosen)]]
            if len(chosen) > query.limit:
                break
    page = await _hits(connection, chosen[: query.limit], parse(query.q), default_bucket)
    return Found(page, f"{page[-1].job}.{page[-1].index}" if len(chosen) > query.limit else None)


async def search_recordings(connection: Connection, query: SearchQuery, default_bucket: str) -> FoundRecordings:
    """One page of recordings in whose newest finished transcript a segment holds all terms."""
    found: list[_Row] = []
    async with aclosing(_rows(connection, query, default_bucket, MOST_COUNTED)) as rows:
        async for row in rows:
            found.append(row)
            if len(found) > query.limit:
                break
    page = found[: query.limit]
    chosen = [(row, index) for row in page for index in row.indexes[:HITS_OF_A_RECORDING]]
    hits = await _hits(connection, chosen, parse(query.q), default_bucket)
    recordings = [
        Recording(
            **row.model_dump(exclude={"indexes"}),
            count=min(len(row.indexes), MOST_COUNTED),
            hits=tuple(hit for hit in hits if hit.job == row.job),
        )
        for row in page
    ]
    return FoundRecordings(recordings, f"{page[-1].job}.{LAST_INDEX}" if len(found) > query.limit else None)


async def _rows(connection: Connection, query: SearchQuery, default_bucket: str, most: int) -> AsyncGenerator[_Row]:
    """The recordings, the newest transcript first, each with the first ``most`` of its segments that hold the words.

    They are looked for while they are read.
    """
    # A plan is made for each query: one for any words fits neither rare nor frequent ones. Compiling one takes longer
    # than running it; and no plan that reads the whole table is ever good.
    await connection.execute("set local jit = off; set local enable_seqscan = off")
    pairs = await is_complete(connection)
    terms = " & ".join(f"({term.as_tsquery(pairs)})" for term in parse(query.q))
    statement = await choose_statement(connection, terms, query, default_bucket, most)
    async with connection.cursor("found", row_factory=class_row(_Row)) as cursor:
        await cursor.execute(*statement)
        cursor.itersize = 8
        async for row in cursor:
            yield row


async def choose_statement(
    connection: Connection, terms: str, query: SearchQuery, default_bucket: str, most: int
) -> Statement:
    """How to find what holds these words: from the index alone if that gives few segments."""
    holding = await fetch_value(
        connection,
        "select count(*) from (select from segments where search @@ %s::tsquery limit %s) few",
        (terms, FEW + 1),
    )
    conditions = ["m.bucket = %(bucket)s", "t.state = 'done'", newest("t")]
    filters = TranscriptFilters(language=query.language, since=query.since, until=query.until)
    conditions += filters.conditions("t")
    parameters = {
        **filters.parameters(),
        "terms": terms,
        "bucket": query.bucket_name or default_bucket,
        "prefix": starting_with(query.prefix),
        "most": most,
    }
    if query.prefix:
        conditions.append("m.savepath like %(prefix)s")
    following = "true"
    if query.after:
        following = "s.transcription_id <= %(job)s and (s.transcription_id < %(job)s or s.index > %(index)s)"
        parameters["job"], parameters["index"] = map(int, query.after.split("."))
    make = _from_the_index if holding <= FEW else _part_by_part
    if holding > FEW:
        newest_id = await fetch_value(connection, "select max(id) from jobs")
        parameters["newest"] = min(newest_id, parameters.get("job", newest_id))
    return Statement(make(" and ".join(conditions), following), parameters)


def _recording(conditions: str) -> str:
    return f"""
    select t.id as job, m.bucket, m.savepath, t.language, t.progress_seconds as seconds,
        {last_modified("t")} as modified
    from transcriptions t join media m on m.id = t.media_id where {conditions}
    """


def _from_the_index(conditions: str, following: str) -> str:
    return f"""
    with found as materialized (
        select transcription_id, array_agg(index order by index) as indexes from segments s
        where s.search @@ %(terms)s::tsquery and {following} group by transcription_id
    )
    select recording.*, found.indexes[:%(most)s] as indexes
    from (select * from found order by transcription_id desc) found
    cross join lateral ({_recording(f"t.id = found.transcription_id and {conditions}")} limit 1) recording
    """


def _part_by_part(conditions: str, following: str) -> str:
    """A part is 32 transcriptions that follow each other: the index says whether one of them has the words. Each
    subquery needs the one before it, so that none is evaluated for more than what is read.
    """
    return f"""
    select recording.*, held.indexes
    from generate_series(%(newest)s::bigint >> 5, 0, -1) number
    cross join lateral (
        select number from segments p
        where p.search @@ %(terms)s::tsquery and array[p.transcription_id >> 5] @> array[number] limit 1
    ) part
    cross join lateral (
        {_recording(f"t.id between part.number << 5 and (part.number << 5) + 31 and {conditions}")} order by t.id desc
    ) recording
    cross join lateral (
        select array_agg(index order by index) as indexes from (
            select index from segments s
            where s.transcription_id = recording.job and s.search @@ %(terms)s::tsquery and {following}
            order by index limit %(most)s
        ) first having count(*) > 0
    ) held
    """


async def _hits(
    connection: Connection, chosen: Sequence[tuple[_Row, int]], terms: Sequence[Term], default_bucket: str
) -> list[Hit]:
    """The hits with their marks and, if a term begins in the segments before one, with their text."""
    texts = await _segments(connection, [Range(row.job, index, index) for row, index in chosen])
    crossing = [place for place, segment in texts.items() if not _all_in(terms, segment.text)]
    leads = await _segments(connection, [Range(job, index - LEAD_WORDS, index - 1) for job, index in crossing])
    hits = []
    for row, index in chosen:
        if (segment := texts.get((row.job, index))) is None:
            continue  # removed meanwhile
        start, text = segment.start, segment.text
        for earlier in range(index - 1, index - 1 - LEAD_WORDS, -1):
            if _all_in(terms, text) or (lead := leads.get((row.job, earlier))) is None:
                break
            start, text = lead.start, f"{lead.text} {text}"
        hits.append(
            Hit(
                **row.model_dump(include={"job", "bucket", "savepath", "language"}),
                index=index,
                start=start,
                end=segment.end,
                text=text,
                marks=tuple(sorted({mark for term in terms for mark in term.marks(text)})),
                link=_link(row, start, default_bucket),
            )
        )
    return hits


async def _segments(connection: Connection, ranges: Sequence[Range]) -> dict[tuple[int, int], Searched]:
    found: Iterable[Searched] = await searched(connection, ranges) if ranges else ()
    return {(segment.transcription, segment.index): segment for segment in found}


def _all_in(terms: Sequence[Term], text: str) -> bool:
    return all(term.marks(text) for term in terms)


def _link(row: _Row, start: float, default_bucket: str) -> str:
    query = {} if row.bucket == default_bucket else {"bucket_name": row.bucket}
    options = urlencode({"format": "txt", "timestamps": "true", **query})
    return f"/api/transcripts/{quote(row.savepath)}?{options}#t={start:.1f}"
