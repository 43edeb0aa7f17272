"""Search: which segments hold these words, the newest transcripts first."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from psycopg.rows import class_row
from pydantic import AfterValidator, Field

from orchestrator.database.sql import Connection, starting_with
from orchestrator.jobs.models import Record, storable
from orchestrator.transcripts import words
from orchestrator.transcripts.filters import Since, TranscriptFilters, newest
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.transcriber import LanguageCode
from reelscribe.settings.fields import BucketName


class Term(NamedTuple):
    """Words that must follow each other; ``prefix``: the last one is only the beginning of a word."""

    words: tuple[str, ...]
    prefix: bool

    def as_tsquery(self) -> str:
        """For PostgreSQL. The phrase must end in the segment itself; it may begin before it."""
        *begin, last = map(words.quoted, self.words)
        return " <-> ".join([*begin, f"{last}:{'*' if self.prefix else ''}A"])


def parse(query: str) -> list[Term]:
    """The terms of a query, all of which a segment must hold: ``word``, ``beginning*``, ``"exact phrase"``.

    Raises:
        ValueError: it holds no word.
    """
    pieces = re.findall(r'"[^"]*"?|[^\s"]+', re.sub("[“”„«»]", '"', query))
    terms = [
        Term(tuple(word.folded for word in words.split(piece)), piece.rstrip('" ').endswith("*")) for piece in pieces
    ]
    if not (found := [term for term in terms if term.words]):
        raise ValueError('give at least one word, such as: horse, or hors*, or "happy horse"')
    return found


def _checked_query(query: str) -> str:
    parse(query)
    return query


class SearchQuery(WireModel):
    """Query of ``GET /api/search``.

    Attributes:
        prefix: of savepaths.
        since: recordings that were modified then or later; without a zone, in UTC.
        after: ``next`` of the page before.
    """

    q: Annotated[str, AfterValidator(_checked_query)] = Field(max_length=500)
    prefix: Annotated[str, AfterValidator(storable)] = Field(default="", max_length=1024)
    language: LanguageCode | None = None
    since: Since | None = None
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


class Found(NamedTuple):
    """One page of hits; ``next`` is the ``after`` of the next one, None on the last."""

    hits: list[Hit]
    next: str | None


def statement(query: SearchQuery, default_bucket: str) -> tuple[str, Mapping[str, Any]]:
    """The SQL of a query and its parameters."""
    conditions = ["s.search @@ %(terms)s::tsquery", "m.bucket = %(bucket)s", "t.state = 'done'", newest("t")]
    parameters: dict[str, Any] = {
        "terms": " & ".join(f"({term.as_tsquery()})" for term in parse(query.q)),
        "bucket": query.bucket_name or default_bucket,
        "limit": query.limit + 1,
    }
    if query.prefix:
        conditions.append("m.savepath like %(prefix)s")
        parameters["prefix"] = starting_with(query.prefix)
    filters = TranscriptFilters(language=query.language, since=query.since)
    conditions += filters.conditions("t")
    parameters |= filters.parameters()
    if query.after:
        conditions.append("s.transcription_id <= %(job)s and (s.transcription_id < %(job)s or s.index > %(index)s)")
        parameters["job"], parameters["index"] = map(int, query.after.split("."))
    return (
        f"""
        select t.id as job, s.index, m.bucket, m.savepath, t.language, s.start_seconds as start, s.end_seconds as end,
            s.text
        from segments s join transcriptions t on t.id = s.transcription_id join media m on m.id = t.media_id
        where {" and ".join(conditions)}
        order by s.transcription_id desc, s.index limit %(limit)s
        """,
        parameters,
    )


async def search(connection: Connection, query: SearchQuery, default_bucket: str) -> Found:
    """One page of segments that hold all terms, in the newest finished transcript of each savepath."""
    terms = parse(query.q)
    async with connection.cursor(row_factory=class_row(Hit)) as cursor:
        # Compiling the query takes longer than running it.
        await cursor.execute("set local jit = off")
        # Never prepared: a plan for any words fits neither rare nor frequent ones.
        await cursor.execute(*statement(query, default_bucket), prepare=False)
        hits = await cursor.fetchall()
    page = [await _shown(connection, hit, terms, default_bucket) for hit in hits[: query.limit]]
    return Found(page, f"{page[-1].job}.{page[-1].index}" if len(hits) > query.limit else None)


async def _shown(connection: Connection, hit: Hit, terms: Sequence[Term], default_bucket: str) -> Hit:
    """The hit with its marks and, if a term begins in the segments before it, with their text."""
    start, text = hit.start, hit.text
    if not _all_in(terms, text):
        cursor = await connection.execute(
            """
            select start_seconds, text from segments where transcription_id = %s and index < %s
            order by index desc limit %s
            """,
            (hit.job, hit.index, words.LEAD_WORDS),
        )
        for earlier_start, earlier_text in await cursor.fetchall():
            start, text = earlier_start, f"{earlier_text} {text}"
            if _all_in(terms, text):
                break
    marks = tuple(sorted({mark for term in terms for mark in words.occurrences(*term, text)}))
    query = {} if hit.bucket == default_bucket else {"bucket_name": hit.bucket}
    link = f"/api/transcripts/{quote(hit.savepath)}?{urlencode({'format': 'txt', 'timestamps': 'true', **query})}"
    return hit.model_copy(update={"start": start, "text": text, "marks": marks, "link": f"{link}#t={start:.1f}"})


def _all_in(terms: Sequence[Term], text: str) -> bool:
    return all(words.occurrences(*term, text) for term in terms)
