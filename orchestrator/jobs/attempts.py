"""Attempts at jobs: the number that fences their writes, and the receipt that each leaves.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.types.json import Jsonb

from orchestrator.database.sql import Connection, Part, fetch_all, fetch_column, fetch_value
from orchestrator.jobs.vocabulary import UsedList, UsedVocabulary, words_of
from reelscribe.contracts.events import Finished, Started
from reelscribe.contracts.speech_without_words import SpeechWithoutWords, total
from reelscribe.errors import ServiceError


@dataclass
class Attempt:
    """One try of a worker at a job.

    Attributes:
        id: of the job.
        number: of this attempt; every write names it, and one that is not the newest changes nothing.
        queue_job: the row of the queue that this attempt works on; every write names it too.
        failures: transient failures since the job last made progress.
        media_id: of the recording; ``bucket`` and ``savepath`` are empty without one.
        progress_seconds: all before it is stored; this attempt starts there.
        previous_seconds: where that was before the last segments were stored.
        segments: how many are stored, which is the index of the next.
        language: of the segments that are stored.
        start_seconds: where the transcriber was asked to start, with ``first_segment`` as the next index.
        vocabulary: the lists whose words the transcriber is given.
        waited: for what it needs, so that what was read when it began may have changed.
        reading: its bucket can be read, as this try has found.
        left_queue: its end is written, and its entry of the queue is gone.
    """

    id: int
    kind: str
    number: int
    queue_job: int
    failures: int
    media_id: int | None
    bucket: str
    savepath: str
    options: dict[str, Any]
    progress_seconds: float
    previous_seconds: float
    segments: int
    language: str | None
    start_seconds: float = 0.0
    first_segment: int = 0
    vocabulary: list[UsedList] = field(default_factory=list)
    waited: bool = False
    reading: bool = False
    left_queue: bool = False

    def __post_init__(self) -> None:
        self.vocabulary = [UsedList.model_validate(one) for one in self.vocabulary]


async def open_receipt(connection: Connection, attempt: Attempt, transcriber_url: str, event: Started) -> None:
    """Note which transcriber works on what, from where on."""
    await connection.execute(
        """
        insert into attempts (transcription_id, attempt, transcriber_url, start_seconds, etag, vocabulary)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (transcription_id, attempt) do update set transcriber_url = excluded.transcriber_url,
            start_seconds = excluded.start_seconds, etag = excluded.etag, vocabulary = excluded.vocabulary
        """,
        (
            *(attempt.id, attempt.number, transcriber_url, attempt.start_seconds, event.etag),
            _used(attempt.vocabulary, event.vocabulary),
        ),
    )


async def note_seen(connection: Connection, attempt: Attempt) -> None:
    """A transcriber has begun to read the object of an attempt, so it exists."""
    await connection.execute(
        "update media set removed_at = null where id = %s and removed_at is not null", (attempt.media_id,)
    )


async def extend_receipt(
    connection: Connection, attempt: Attempt, new_segments: int, without_words: SpeechWithoutWords | None
) -> None:
    """Note how far the attempt has come, and what has no words up to there if something was added to that."""
    await connection.execute(
        """
        update attempts set covered_seconds = %s - start_seconds, segments = %s,
            speech_without_words = coalesce(%s, speech_without_words)
        where transcription_id = %s and attempt = %s
        """,
        (
            attempt.progress_seconds,
            attempt.segments + new_segments - attempt.first_segment,
            _json(without_words),
            attempt.id,
            attempt.number,
        ),
    )


_ENDED = (
    *("declared_seconds", "samples", "delivered_seconds", "covered_seconds", "sha256", "etag", "extraction_id"),
    *("last_modified", "size", "segments", "track", "track_choice", "remarks", "speech_without_words"),
)
"""What is in a receipt that the end of an attempt says."""


def complete_receipt(
    attempt: Attempt, event: Finished, transcriber_url: str | None = None, started: Started | None = None
) -> Part:
    """Note what the transcriber, and the extractor by its receipt, say of the end.

    Args:
        transcriber_url, started: of a receipt that is not open yet.
    """
    values = {
        **event.model_dump(include=set(_ENDED)),
        "speech_without_words": _json(event.speech_without_words),
        "transcription_id": attempt.id,
        "attempt": attempt.number,
    }
    if started:
        values |= {
            "transcriber_url": transcriber_url,
            "start_seconds": attempt.start_seconds,
            "vocabulary": _used(attempt.vocabulary, started.vocabulary),
        }
        return Part(
            f"""
            insert into attempts ({", ".join(values)}, ended_at)
            select {", ".join(f"%({name})s" for name in values)}, now() from changed
            on conflict (transcription_id, attempt) do nothing
            """,
            values,
        )
    return Part(
        f"""
        update attempts set ended_at = now(), {", ".join(f"{name} = %({name})s" for name in _ENDED)}
        where transcription_id = %(transcription_id)s and attempt = %(attempt)s
        """,
        values,
    )


async def close_receipt(connection: Connection, attempt: Attempt, failure: ServiceError) -> None:
    """Note why the attempt ended early."""
    await connection.execute(
        """
        update attempts set ended_at = now(), error_code = %s, error_message = %s
        where transcription_id = %s and attempt = %s
        """,
        (failure.code, failure.message, attempt.id, attempt.number),
    )


async def end_receipts(connection: Connection, ids: Sequence[int], failure: ServiceError | None = None) -> None:
    """Note the end of attempts that can no longer do so themselves, and what ended them."""
    await connection.execute(
        """
        update attempts set ended_at = now(), error_code = %s, error_message = %s
        where transcription_id = any(%s) and ended_at is null
        """,
        (failure and failure.code, failure and failure.message, list(ids)),
    )


async def cut_receipts(connection: Connection, id: int, seconds: float) -> None:
    """Forget what receipts say of all from ``seconds`` on, whose segments have been removed."""
    await connection.execute("delete from attempts where transcription_id = %s and start_seconds >= %s", (id, seconds))
    await connection.execute(
        """
        update attempts a set covered_seconds = %(seconds)s - start_seconds, segments = (
            select count(*) from segments s
            where s.transcription_id = a.transcription_id and s.start_seconds >= a.start_seconds
        )
        where transcription_id = %(id)s and start_seconds + covered_seconds > %(seconds)s
        """,
        {"seconds": seconds, "id": id},
    )
    rows = await fetch_all(
        connection,
        """
        select attempt, speech_without_words from attempts
        where transcription_id = %s and speech_without_words is not null
        """,
        (id,),
    )
    for number, without_words in rows:
        await connection.execute(
            "update attempts set speech_without_words = %s where transcription_id = %s and attempt = %s",
            (_json(SpeechWithoutWords.model_validate(without_words).before(seconds)), id, number),
        )


async def speech_without_words(connection: Connection, attempt: Attempt, event: Finished) -> SpeechWithoutWords | None:
    """What the end of an attempt and the receipts before it say of that, added up; None if they say nothing."""
    parts = []
    if attempt.start_seconds > 0:  # else those before it have brought nothing
        parts = await fetch_column(
            connection,
            """
            select speech_without_words from attempts
            where transcription_id = %s and attempt <> %s and speech_without_words is not null order by attempt
            """,
            (attempt.id, attempt.number),
        )
    own = [event.speech_without_words] if event.speech_without_words else []
    return total([*map(SpeechWithoutWords.model_validate, parts), *own])


async def earlier_etag(connection: Connection, attempt: Attempt) -> str | None:
    """ETag of the object that the attempt before this one transcribed; None if there was none."""
    etag: str | None = await fetch_value(
        connection,
        """
        select etag from attempts where transcription_id = %s and attempt < %s and etag is not null
        order by attempt desc limit 1
        """,
        (attempt.id, attempt.number),
    )
    return etag


def _used(lists: list[UsedList], count: int) -> Jsonb | None:
    """The vocabulary of an attempt, of whose words there was room for so many."""
    if not lists:
        return None
    words = words_of(lists)
    return Jsonb(UsedVocabulary(lists=lists, used=words[:count], cut=words[count:]).model_dump())


def _json(without_words: SpeechWithoutWords | None) -> Jsonb | None:
    return None if without_words is None else Jsonb(without_words.model_dump())
