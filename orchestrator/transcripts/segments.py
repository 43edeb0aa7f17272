"""Storing segments, with what search needs of them.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

import json
from collections.abc import Sequence
from typing import Any

from orchestrator.database.sql import Connection, Part, fetch_value
from orchestrator.transcripts.search_index import entries
from orchestrator.transcripts.words import VERSION
from reelscribe.contracts.events import Segment


async def insert(connection: Connection, id: int, first_index: int, segments: Sequence[Segment]) -> None:
    """Store more segments of a transcription; those that are there already stay as they are.

    Args:
        first_index: of the first of these; as many are stored before it.
    """
    if segments:
        await connection.execute(*await insertion(connection, id, first_index, segments))


async def insertion(
    connection: Connection, id: int, first_index: int, segments: Sequence[Segment], source: str = ""
) -> Part:
    """The same as part of a statement that is yet to be executed, in the same transaction.

    Args:
        source: another part of it, by its name; if that has no row, nothing is stored.
    """
    columns: dict[str, list[Any]] = {
        "index": list(range(first_index, first_index + len(segments))),
        "start": [segment.start for segment in segments],
        "end": [segment.end for segment in segments],
        "text": [segment.text for segment in segments],
        "tokens": [f"{{{','.join(map(str, segment.tokens))}}}" for segment in segments],
        "words": [
            None if segment.words is None else json.dumps([word.model_dump() for word in segment.words])
            for segment in segments
        ],
        "avg_logprob": [segment.avg_logprob for segment in segments],
        "no_speech_prob": [segment.no_speech_prob for segment in segments],
        "compression_ratio": [segment.compression_ratio for segment in segments],
        "temperature": [segment.temperature for segment in segments],
        "spoken": [segment.language for segment in segments],
        "search": await entries(connection, id, first_index, [segment.text for segment in segments]),
    }
    parameters = {f"its_{name}": values for name, values in columns.items()}
    condition = f"where exists (select from {source})" if source else ""
    return Part(f"{_INSERT} {condition} on conflict do nothing", {**parameters, "its_job": id, "version": VERSION})


_INSERT = """
    insert into segments (transcription_id, index, start_seconds, end_seconds, text, tokens, words, avg_logprob,
        no_speech_prob, compression_ratio, temperature, language, search, search_version)
    select %(its_job)s, number, start_seconds, end_seconds, text, tokens::integer[], words::jsonb, avg_logprob,
        no_speech_prob, compression_ratio, temperature, language, search::tsvector, %(version)s
    from unnest(
        %(its_index)s::integer[], %(its_start)s::float8[], %(its_end)s::float8[], %(its_text)s::text[],
        %(its_tokens)s::text[], %(its_words)s::text[], %(its_avg_logprob)s::float8[], %(its_no_speech_prob)s::float8[],
        %(its_compression_ratio)s::float8[], %(its_temperature)s::float8[], %(its_spoken)s::text[],
        %(its_search)s::text[]
    ) as segment (number, start_seconds, end_seconds, text, tokens, words, avg_logprob, no_speech_prob,
        compression_ratio, temperature, language, search)
"""


async def remove_from(connection: Connection, id: int, seconds: float) -> int:
    """Remove the segments of a transcription that begin at ``seconds`` or later; how many are left."""
    await connection.execute("delete from segments where transcription_id = %s and start_seconds >= %s", (id, seconds))
    return int(await fetch_value(connection, "select count(*) from segments where transcription_id = %s", (id,)))
