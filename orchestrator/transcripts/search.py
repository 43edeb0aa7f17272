"""Search: which segments hold these words, the newest transcripts first."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from psycopg.errors import QueryCanceled
from psycopg.rows import class_row
from pydantic import AfterValidator, Field

from orchestrator.database.sql import Connection, fetch_value, starting_with
from orchestrator.errors import SearchTooLong
from orchestrator.jobs.models import Prefix, Record
from orchestrator.transcripts.addresses import moment, recording_path
from orchestrator.transcripts.filters import Since, TranscriptFilters, Until, last_modified, newest
from orchestrator.transcripts.search_index import Range, Searched, is_complete, searched
from orchestrator.transcripts.words import LEAD_WORDS, Term, marks, parse
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.transcriber import LanguageCode
from reelscribe.settings.fields import BucketName

FEW = 5_000
"""Segments; if no more hold the words, all of them are read. Else they are looked for in one part of the archive after
the other, the newest first, until the page is full."""
HITS_OF_A_RECORDING = 5
MOST_COUNTED = 1000
MOST_SECONDS = 20
"""For a part of a page. Without it, PostgreSQL would search on for a client that no longer waits."""
LAST_JOB, LAST_INDEX = 10**18, 999_999_999


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
    prefix: Prefix = ""
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
        link: to the moment on the recording's page: its path, after the orchestrator's ``public_url`` if that is set.
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


class _Row(NamedTuple):
    """A recording, and which of its segments hold the words: nothing if none does.

    Attributes:
        holding: how many segments hold the words in all; if more than :data:`FEW`, this is all that is known.
    """

    holding: int
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
            **row._asdict(),
            count=min(len(row.indexes), MOST_COUNTED),
            hits=tuple(hit for hit in hits if hit.job == row.job),
        )
        for row in page
    ]
    return FoundRecordings(recordings, f"{page[-1].job}.{LAST_INDEX}" if len(found) > query.limit else None)


async def _rows(connection: Connection, query: SearchQuery, default_bucket: str, most: int) -> AsyncGenerator[_Row]:
    """The recordings, the newest transcript first, each with the first ``most`` of its segments that hold the words.

    They are looked for while they are read.

    Raises:
        SearchTooLong: no more of them are found in time.
    """
    try:
        async with aclosing(_all_rows(connection, query, default_bucket, most)) as rows:
            async for row in rows:
                yield row
    except QueryCanceled:
        raise SearchTooLong(
            f"nothing was found within {MOST_SECONDS} s; give rarer words, complete ones in place of beginnings, or"
            " only recordings of a prefix"
        ) from None


async def _all_rows(connection: Connection, query: SearchQuery, default_bucket: str, most: int) -> AsyncGenerator[_Row]:
    await connection.execute(f"set local statement_timeout = '{MOST_SECONDS}s'")
    # A plan is made for each query: one for any words fits neither rare nor frequent ones. Compiling one takes longer
    # than running it; and no plan that reads the whole table is ever good.
    await connection.execute("set local jit = off; set local enable_seqscan = off")
    terms = as_tsquery(query, pairs=await is_complete(connection))
    for find in (find_few, find_part_by_part):
        if find is find_few and await estimate(connection, terms) > FEW:
            continue
        async with connection.cursor("found", row_factory=class_row(_Row)) as cursor:
            await cursor.execute(*await find(connection, terms, query, default_bucket, most))
            cursor.itersize = 8
            async for row in cursor:
                if row.holding > FEW:
                    break  # the estimate was wrong
                if row.indexes:
                    yield row
            else:
                return


def as_tsquery(query: SearchQuery, pairs: bool = True) -> str:
    """What a segment must hold, for PostgreSQL."""
    return " & ".join(f"({term.as_tsquery(pairs)})" for term in parse(query.q))


async def estimate(connection: Connection, terms: str) -> int:
    """How many segments hold the words, as PostgreSQL's statistics have it."""
    [explained] = await fetch_value(
        connection, "explain (format json) select from segments where search @@ %s::tsquery", (terms,)
    )
    return int(explained["Plan"]["Plan Rows"])


async def find_few(connection: Connection, terms: str, query: SearchQuery, default_bucket: str, most: int) -> Statement:
    """All segments that hold rare words, from the index; if there are more than expected, only that."""
    conditions, following, parameters = _narrowed(terms, query, default_bucket, most)
    return Statement(
        f"""
        with few as materialized (
            select transcription_id, index from segments where search @@ %(terms)s::tsquery limit {FEW + 1}
        ), found as materialized (
            select transcription_id, array_agg(index order by index) as indexes from few s
            where {following} group by transcription_id
        )
        select holding.count as holding, {COLUMNS}, coalesce(recording.held, '{{}}') as indexes
        from (select count(*) from few) holding
        left join lateral (
            select recording.*, found.indexes[:%(most)s] as held
            from (select * from found order by transcription_id desc) found
            cross join lateral (
                {_recording(f"t.id = found.transcription_id and {conditions}")} limit 1
            ) recording
        ) recording on holding.count <= {FEW}
        """,
        parameters,
    )


async def find_part_by_part(
    connection: Connection, terms: str, query: SearchQuery, default_bucket: str, most: int
) -> Statement:
    """Where frequent words are in the archive, the newest part first. A part is 32 transcriptions that follow each
    other: the index says whether one of them has the words. Each subquery needs the one before it, so that none is
    evaluated for more than what is read; ``offset 0`` keeps a transcription's segments from being looked for by words.
    """
    conditions, following, parameters = _narrowed(terms, query, default_bucket, most)
    parameters.setdefault("job", LAST_JOB)
    return Statement(
        f"""
        with recursive parts (number) as (
            (select id >> 5 from transcriptions where state = 'done' and id <= %(job)s order by id desc limit 1)
            union all
            select (
                select id >> 5 from transcriptions where state = 'done' and id < number << 5 order by id desc limit 1
            ) from parts where number is not null
        )
        select 0 as holding, {COLUMNS}, held.indexes
        from parts
        cross join lateral (
            select array_agg(t.id order by t.id desc) as ids, number
            from transcriptions t join media m on m.id = t.media_id
            where t.id between number << 5 and (number << 5) + 31 and {conditions} having count(*) > 0
        ) eligible
        cross join lateral (
            select eligible.ids from segments p
            where p.search @@ %(terms)s::tsquery and array[p.transcription_id >> 5] @> array[eligible.number] limit 1
        ) part
        cross join lateral unnest(part.ids) with ordinality as chosen (id, place)
        cross join lateral (
            select array_agg(index order by index) as indexes from (
                select index from (
                    select * from segments where transcription_id = chosen.id order by index offset 0
                ) s where s.search @@ %(terms)s::tsquery and {following} limit %(most)s
            ) first having count(*) > 0
        ) held
        cross join lateral ({_recording("t.id = chosen.id")} limit 1) recording
        """,
        parameters,
    )


def _narrowed(terms: str, query: SearchQuery, default_bucket: str, most: int) -> tuple[str, str, dict[str, Any]]:
    """What must hold for a recording, and for a segment to be after the page before; and all parameters."""
    filters = TranscriptFilters(language=query.language, since=query.since, until=query.until)
    conditions = ["m.bucket = %(bucket)s", "t.state = 'done'", *filters.conditions("t"), newest("t")]
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
    return " and ".join(conditions), following, parameters


COLUMNS = ", ".join(f"recording.{name}" for name in _Row._fields if name not in ("holding", "indexes"))


def _recording(conditions: str) -> str:
    return f"""
    select t.id as job, m.bucket, m.savepath, t.language, t.progress_seconds as seconds,
        {last_modified("t")} as modified
    from transcriptions t join media m on m.id = t.media_id where {conditions}
    """


async def _hits(
    connection: Connection, chosen: Sequence[tuple[_Row, int]], terms: Sequence[Term], default_bucket: str
) -> list[Hit]:
    """The hits with their marks and, if a term begins in the segments before one, with their text."""
    texts = await _segments(connection, [Range(row.job, index, index) for row, index in chosen])
    marked = {}
    for place, each in texts.items():
        marked[place] = marks(terms, each.text)
        await asyncio.sleep(0)  # a page may have thousands of hits, and other requests wait
    crossing = [place for place, found in marked.items() if found is None]
    leads = await _segments(connection, [Range(job, index - LEAD_WORDS, index - 1) for job, index in crossing])
    hits = []
    for row, index in chosen:
        place = row.job, index
        if (segment := texts.get(place)) is None:
            continue  # removed meanwhile
        start, text, found = segment.start, segment.text, marked[place]
        for earlier in range(index - 1, index - 1 - LEAD_WORDS, -1):
            if found is not None or (lead := leads.get((row.job, earlier))) is None:
                break
            start, text = lead.start, f"{lead.text} {text}"
            found = marks(terms, text)
        hits.append(
            Hit(
                job=row.job,
                index=index,
                bucket=row.bucket,
                savepath=row.savepath,
                language=row.language,
                start=start,
                end=segment.end,
                text=text,
                marks=tuple(found or ()),
                link=_link(row, start, default_bucket),
            )
        )
    return hits


async def _segments(connection: Connection, ranges: Sequence[Range]) -> dict[tuple[int, int], Searched]:
    found: Iterable[Searched] = await searched(connection, ranges) if ranges else ()
    return {(segment.transcription, segment.index): segment for segment in found}


def _link(row: _Row, start: float, default_bucket: str) -> str:
    bucket = None if row.bucket == default_bucket else row.bucket
    return recording_path("/media/", row.savepath, bucket_name=bucket) + moment(start)
