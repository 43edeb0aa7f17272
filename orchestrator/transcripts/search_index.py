"""What of a transcript search looks through, and its entries in the index.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.database.sql import Connection, fetch_models, fetch_one, fetch_value
from orchestrator.jobs.models import Record
from orchestrator.transcripts.words import LEAD_WORDS, VERSION, vectors

BATCH = 1000
"""Segments that are indexed again in one transaction."""
NEWEST = 10**18
"""No transcription is newer."""


class Range(NamedTuple):
    """Segments of a transcription, ``first`` and ``last`` included."""

    transcription: int
    first: int
    last: int


class Batch(NamedTuple):
    """So many entries of a transcription were made again."""

    transcription: int
    made: int


class Searched(Record):
    """A segment as search finds and shows it."""

    transcription: int
    index: int
    start: float
    end: float
    text: str


async def searched(connection: Connection, ranges: Sequence[Range]) -> list[Searched]:
    """The segments in these ranges, in the order of transcription and index. Nothing else says what is searched."""
    return await fetch_models(
        connection,
        Searched,
        """
        select s.transcription_id as transcription, s.index, s.start_seconds as start, s.end_seconds as end, s.text
        from unnest(%s::bigint[], %s::integer[], %s::integer[]) as wanted (transcription, first, last)
        join segments s on s.transcription_id = wanted.transcription and s.index between wanted.first and wanted.last
        order by 1, 2
        """,
        [list(column) for column in zip(*ranges, strict=True)],
    )


async def entries(connection: Connection, id: int, first: int, texts: Sequence[str]) -> list[str]:
    """The index entries of consecutive segments with these texts; those before ``first`` are stored."""
    before = await searched(connection, [Range(id, first - LEAD_WORDS, first - 1)]) if first else []
    return vectors(texts, [segment.text for segment in before])


async def reindex(connection: Connection, changed: Range) -> None:
    """Make the entries of these segments again. Their texts lead to as many as :data:`LEAD_WORDS` after them."""
    # Whoever changes a text meanwhile waits, and makes its entry after us; a text that was changed before is read.
    await connection.execute(
        "select from segments where transcription_id = %s and index between %s and %s order by index for no key update",
        changed,
    )
    found = await searched(connection, [changed])
    if not found:
        return
    made = await entries(connection, changed.transcription, found[0].index, [segment.text for segment in found])
    await connection.execute(
        """
        update segments s set search = made.search::tsvector, search_version = %(version)s
        from unnest(%(indexes)s::integer[], %(entries)s::text[]) as made (index, search)
        where s.transcription_id = %(id)s and s.index = made.index
        """,
        {
            "version": VERSION,
            "id": changed.transcription,
            "indexes": [segment.index for segment in found],
            "entries": made,
        },
    )


async def is_complete(connection: Connection) -> bool:
    """Whether all entries are of this version of the orchestrator."""
    return not await fetch_value(connection, "select exists (select from segments where search_version = 0)")


async def reindex_batch(connection: Connection, newest: int = NEWEST) -> Batch | None:
    """Make entries of an older version again, of the newest transcription that has some; None if none has.

    Args:
        newest: transcriptions that are newer are left out: their entries were made again, and PostgreSQL would read
            all that was there before, until it is vacuumed.
    """
    outdated = await fetch_one(
        connection,
        """
        select transcription_id, min(index), max(index), count(*) from (
            select transcription_id, index from segments
            where search_version = 0 and transcription_id = (
                select transcription_id from segments where search_version = 0 and transcription_id <= %s
                order by transcription_id desc limit 1
            )
            order by index limit %s
        ) batch group by transcription_id
        """,
        (newest, BATCH),
    )
    if outdated is None:
        return None
    id, first, last, count = outdated
    # Whoever else changes several segments has locked their job before, so neither waits for what the other one has.
    await connection.execute("select from jobs where id = %s for no key update", (id,))
    await reindex(connection, Range(id, first, last))
    return Batch(id, count)
