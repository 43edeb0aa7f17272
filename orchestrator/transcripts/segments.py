"""Storing segments, with what search needs of them.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from orchestrator.database.sql import Connection, fetch_value
from orchestrator.transcripts.search_index import entries
from orchestrator.transcripts.words import VERSION
from reelscribe.contracts.events import Segment


async def insert(connection: Connection, id: int, first_index: int, segments: Sequence[Segment]) -> None:
    """Store more segments of a transcription; those that are there already stay as they are.

    Args:
        first_index: of the first of these; as many are stored before it.
    """
    if not segments:
        return
    search = await entries(connection, id, first_index, [segment.text for segment in segments])
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            insert into segments (transcription_id, index, start_seconds, end_seconds, text, tokens, words,
                avg_logprob, no_speech_prob, compression_ratio, temperature, language, search, search_version)
            values (%(id)s, %(index)s, %(start)s, %(end)s, %(text)s, %(tokens)s, %(words)s,
                %(avg_logprob)s, %(no_speech_prob)s, %(compression_ratio)s, %(temperature)s, %(language)s, %(search)s,
                %(version)s)
            on conflict do nothing
            """,
            [
                {
                    **segment.model_dump(),
                    "id": id,
                    "index": first_index + position,
                    "search": search[position],
                    "version": VERSION,
                    "words": None if segment.words is None else Jsonb([word.model_dump() for word in segment.words]),
                }
                for position, segment in enumerate(segments)
            ],
        )


async def remove_from(connection: Connection, id: int, seconds: float) -> int:
    """Remove the segments of a transcription that begin at ``seconds`` or later; how many are left."""
    await connection.execute("delete from segments where transcription_id = %s and start_seconds >= %s", (id, seconds))
    return int(await fetch_value(connection, "select count(*) from segments where transcription_id = %s", (id,)))
