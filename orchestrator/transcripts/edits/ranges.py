"""The layers of edits as they are stored: which one a transcript has, and which stretches it has the text of.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from orchestrator.database.sql import Connection, fetch_all, fetch_one, fetch_value
from orchestrator.jobs.object_changes import Identity
from orchestrator.transcripts.edits.layer import Patch, replaced_within


async def layer_of(connection: Connection, job: int) -> int | None:
    """The layer of a transcription: that of the same object, and of translations if it is one; None if no one has
    edited it.
    """
    media_id, translated, transcribed = await _text_of(connection, job)
    rows = await fetch_all(
        connection,
        """
        select id, etag, size, last_modified from edit_layers where media_id = %s and translated = %s order by id desc
        """,
        (media_id, translated),
    )
    return next((row[0] for row in rows if not transcribed.differs_from(Identity(*row[1:]))), None)


async def make_layer(connection: Connection, job: int) -> int:
    """A layer for a transcription that has none."""
    media_id, translated, transcribed = await _text_of(connection, job)
    return int(
        await fetch_value(
            connection,
            """
            insert into edit_layers (media_id, translated, etag, size, last_modified) values (%s, %s, %s, %s, %s)
            returning id
            """,
            (media_id, translated, *transcribed),
        )
    )


async def ranges_between(connection: Connection, layer: int, start: float, end: float) -> list[Patch]:
    """The patches of a layer that lie between two times, completely or in part."""
    return patches(
        await fetch_all(
            connection,
            """
            select start_seconds, end_seconds, revision, segments from edited_ranges
            where layer_id = %s and start_seconds < %s and end_seconds > %s order by start_seconds
            """,
            (layer, end, start),
        )
    )


async def all_ranges(connection: Connection, layer: int) -> list[Patch]:
    """All patches of a layer, in order."""
    return await ranges_between(connection, layer, float("-inf"), float("inf"))


async def replace_ranges(connection: Connection, layer: int, start: float, end: float, new: Sequence[Patch]) -> None:
    """Put patches in place of what a layer has between two times."""
    rows = await fetch_all(  # those that touch too: they may be parts of the same patch
        connection,
        """
        delete from edited_ranges where layer_id = %s and start_seconds <= %s and end_seconds >= %s
        returning start_seconds, end_seconds, revision, segments
        """,
        (layer, end, start),
    )
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            insert into edited_ranges (layer_id, start_seconds, end_seconds, revision, segments)
            values (%s, %s, %s, %s, %s)
            """,
            [
                (layer, patch.start, patch.end, patch.revision, as_json(patch.segments))
                for patch in replaced_within(patches(rows), start, end, new)
            ],
        )


def patches(rows: Sequence[Sequence[Any]]) -> list[Patch]:
    """Of rows of start, end, revision and segments."""
    return [Patch(start=row[0], end=row[1], revision=row[2], segments=row[3]) for row in rows]


def as_json(records: Sequence[Any]) -> Jsonb:
    """A list of models as PostgreSQL stores it."""
    return Jsonb([record.model_dump(mode="json") for record in records])


async def _text_of(connection: Connection, job: int) -> tuple[int, bool, Identity]:
    """The recording of a transcription, whether its text is a translation, and of which object it is."""
    row = await fetch_one(
        connection,
        """
        select t.media_id, coalesce(t.options->>'task' = 'translate', false), a.etag, a.size, a.last_modified
        from transcriptions t left join lateral (
            select etag, size, last_modified from attempts
            where transcription_id = t.id and etag is not null order by attempt desc limit 1
        ) a on true
        where t.id = %s
        """,
        (job,),
    )
    return row[0], row[1], Identity(*row[2:])
