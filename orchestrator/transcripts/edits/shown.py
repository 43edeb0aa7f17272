"""Keeps ``segments``, which readers, search and exports read, what the layer of edits says.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Iterable, Sequence

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from orchestrator.database.sql import Connection, fetch_all, fetch_column, fetch_value
from orchestrator.transcripts.edits.layer import Patch, ShownSegment, overlay
from orchestrator.transcripts.edits.ranges import ranges_between
from orchestrator.transcripts.search_index import Range, entries, reindex
from orchestrator.transcripts.words import LEAD_WORDS, VERSION
from reelscribe.contracts.events import Segment

_COLUMNS = """
    transcription_id, index, start_seconds, end_seconds, text, tokens, words, avg_logprob, no_speech_prob,
    compression_ratio, temperature, language
"""


async def show_layer(connection: Connection, id: int, media_id: int, layer: int, start: float, end: float) -> None:
    """Make the rows of a transcription between two times what its layer says there now."""
    indexes, patches = await _touched(connection, id, layer, start, end)
    transcribed = await _transcribed(connection, id, indexes)
    shown = overlay(transcribed, patches)
    removed = await fetch_column(
        connection,
        """
        delete from segments where transcription_id = %(id)s and (
            (revision is null and coalesce(transcribed_index, index) = any(%(indexes)s))
            or (revision is not null and exists (
                select from unnest(%(starts)s::float8[], %(ends)s::float8[]) as patch (start, stop)
                where (start_seconds + end_seconds) / 2 >= patch.start
                    and (start_seconds + end_seconds) / 2 < patch.stop
            ))
        ) returning index
        """,
        {
            "id": id,
            "indexes": indexes,
            "starts": [start, *(patch.start for patch in patches)],
            "ends": [end, *(patch.end for patch in patches)],
        },
    )
    await _keep_replaced(connection, id, transcribed, shown)
    first = min(removed) if removed else await _index_at(connection, id, start)
    await _make_room(connection, id, first, len(shown))
    await _insert(connection, id, media_id, first, shown)
    following = first + len(shown)
    await reindex(connection, Range(id, following, following + LEAD_WORDS - 1))


async def _touched(
    connection: Connection, id: int, layer: int, start: float, end: float
) -> tuple[list[int], list[Patch]]:
    """The segments of the model between two times, the patches over these, the further segments that are under those,
    and so on.
    """
    patches: list[Patch] = []
    while True:
        found = await fetch_all(
            connection,
            """
            select index, start_seconds, end_seconds from transcribed_segments s
            where transcription_id = %(id)s and exists (
                select from unnest(%(starts)s::float8[], %(ends)s::float8[]) as part (start, stop)
                where start_seconds < part.stop and (end_seconds > part.start or start_seconds = part.start)
            ) order by index
            """,
            {
                "id": id,
                "starts": [start, *(patch.start for patch in patches)],
                "ends": [end, *(patch.end for patch in patches)],
            },
        )
        reach = [(start, end), *((patch.start, patch.end) for patch in patches), *(row[1:] for row in found)]
        now = await ranges_between(connection, layer, min(low for low, _ in reach), max(high for _, high in reach))
        if len(now) <= len(patches):
            return [row[0] for row in found], patches
        patches = now


async def _transcribed(connection: Connection, id: int, indexes: Sequence[int]) -> list[Segment]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            select index, start_seconds as start, end_seconds as end, text, tokens, words, avg_logprob, no_speech_prob,
                compression_ratio, temperature, language
            from transcribed_segments where transcription_id = %s and index = any(%s) order by index
            """,
            (id, list(indexes)),
        )
        return [Segment.model_validate(row) for row in await cursor.fetchall()]


async def _keep_replaced(
    connection: Connection, id: int, transcribed: Sequence[Segment], shown: Iterable[ShownSegment]
) -> None:
    """Keep the model's own segments that are not shown as they are, and no others."""
    intact = {one.transcribed_index for one in shown if not one.altered}
    await connection.execute(
        "delete from replaced_segments where transcription_id = %s and index = any(%s)",
        (id, [segment.index for segment in transcribed]),
    )
    async with connection.cursor() as cursor:
        await cursor.executemany(
            f"insert into replaced_segments ({_COLUMNS}) values ({_VALUES})",
            [_values(id, segment.index, segment) for segment in transcribed if segment.index not in intact],
        )


async def _index_at(connection: Connection, id: int, start: float) -> int:
    """Of a segment that begins at this time."""
    before = "select coalesce(max(index), -1) from segments where transcription_id = %s and start_seconds < %s"
    return int(await fetch_value(connection, before, (id, start))) + 1


async def _make_room(connection: Connection, id: int, first: int, count: int) -> None:
    """Renumber what follows, if there are more or fewer indexes than ``count`` free from ``first`` on."""
    following = "select min(index) from segments where transcription_id = %s and index >= %s"
    next_index = await fetch_value(connection, following, (id, first))
    if next_index is None or next_index == first + count:
        return
    await connection.execute(
        # One row leaves the index after the other before any comes in: sorting them reads all of them first.
        """
        with moved as (
            delete from segments s where transcription_id = %(id)s and index >= %(first)s returning s as segment
        )
        insert into segments select renumbered.* from moved, jsonb_populate_record(segment, jsonb_build_object(
            'index', (segment).index + %(by)s, 'transcribed_index', case
                when (segment).revision is null then coalesce((segment).transcribed_index, (segment).index)
            end
        )) renumbered order by renumbered.index desc
        """,
        {"id": id, "first": first, "by": first + count - next_index},
    )


async def _insert(connection: Connection, id: int, media_id: int, first: int, shown: Sequence[ShownSegment]) -> None:
    revisions = {one.revision for one in shown if one.revision is not None}
    made = {
        row[0]: row[1:]
        for row in await fetch_all(
            connection,
            "select revision, author, made_at from edits where media_id = %s and revision = any(%s)",
            (media_id, list(revisions)),
        )
    }
    search = await entries(connection, id, first, [one.segment.text for one in shown])
    async with connection.cursor() as cursor:
        await cursor.executemany(
            f"""
            insert into segments ({_COLUMNS}, search, search_version, revision, author, edited_at, altered,
                transcribed_index)
            values ({_VALUES}, %(search)s, %(version)s, %(revision)s, %(author)s, %(edited_at)s, %(altered)s,
                %(transcribed_index)s)
            """,
            [
                {
                    **_values(id, first + place, one.segment),
                    "search": search[place],
                    "version": VERSION,
                    "revision": one.revision,
                    "author": made[one.revision][0] if one.revision is not None else None,
                    "edited_at": made[one.revision][1] if one.revision is not None else None,
                    "altered": one.altered,
                    "transcribed_index": one.transcribed_index,
                }
                for place, one in enumerate(shown)
            ],
        )


_VALUES = """
    %(id)s, %(index)s, %(start)s, %(end)s, %(text)s, %(tokens)s, %(words)s, %(avg_logprob)s, %(no_speech_prob)s,
    %(compression_ratio)s, %(temperature)s, %(language)s
"""


def _values(id: int, index: int, segment: Segment) -> dict[str, object]:
    words = None if segment.words is None else Jsonb([word.model_dump() for word in segment.words])
    return {**segment.model_dump(exclude={"event"}), "id": id, "index": index, "words": words}
