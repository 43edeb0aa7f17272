"""What a running attempt writes. Every write names its attempt: one that is no longer the newest changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from machine.errors import MachineError
from machine.wire import Finished, Segment, Started, TranscribeRequest
from orchestrator.database import Pool
from orchestrator.errors import Superseded
from orchestrator.queue import Queue
from orchestrator.store import FORGET_ERROR, Connection
from orchestrator.words import LEAD_WORDS, vectors


@dataclass
class Attempt:
    """One worker's turn at a job.

    Attributes:
        id: of the transcription.
        number: of this attempt; what every write names.
        failures: transient failures before it.
        progress_seconds: all before it is stored; where to go on.
        segments: how many are stored, which is the index of the next.
        start_seconds: where Machine B was asked to start.
    """

    id: int
    number: int
    failures: int
    bucket: str
    savepath: str
    options: dict[str, Any]
    progress_seconds: float
    segments: int
    start_seconds: float = 0.0

    def request(self, default_bucket: str) -> TranscribeRequest:
        """What to ask Machine B for now. Machine C knows its default bucket by itself."""
        self.start_seconds = self.progress_seconds
        return TranscribeRequest(
            savepath=self.savepath,
            bucket_name=None if self.bucket == default_bucket else self.bucket,
            start=self.start_seconds,
            **self.options,
        )


class Attempts:
    """Begins attempts and stores what they bring.

    All methods but :meth:`begin` raise :class:`orchestrator.errors.Superseded` where the attempt is not the newest.
    """

    def __init__(self, pool: Pool, queue: Queue) -> None:
        self._pool = pool
        self._queue = queue

    async def begin(self, queue_job: int, transcription: int) -> Attempt | None:
        """A new attempt for the one queue job that may begin it; None for any other, which has nothing to do."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                f"""
                update transcriptions t set state = 'running', attempt = attempt + 1, {FORGET_ERROR},
                    started_at = coalesce(started_at, now())
                from media m
                where t.id = %s and t.queue_job = %s and t.state in ('queued', 'running', 'waiting')
                    and m.id = t.media_id
                returning t.id, t.attempt as number, t.failures, m.bucket, m.savepath, t.options, t.progress_seconds,
                    (select count(*) from segments s where s.transcription_id = t.id) as segments
                """,
                (transcription, queue_job),
            )
            row = await cursor.fetchone()
        return Attempt(**row) if row else None

    async def started(self, attempt: Attempt, transcriber_url: str, event: Started) -> None:
        """Machine B is at work."""
        async with self._pool.connection() as connection:
            await _write(
                connection,
                attempt,
                f"""
                state = 'running', model = %(model)s, language = %(language)s, {FORGET_ERROR},
                language_probability = %(probability)s, declared_seconds = coalesce(%(declared)s, declared_seconds)
                """,
                model=event.model,
                language=event.language,
                probability=event.language_probability,
                declared=event.duration,
            )
            await connection.execute(
                """
                insert into attempts (transcription_id, attempt, transcriber_url, start_seconds) values (%s, %s, %s, %s)
                on conflict (transcription_id, attempt) do update
                set transcriber_url = excluded.transcriber_url, start_seconds = excluded.start_seconds
                """,
                (attempt.id, attempt.number, transcriber_url, attempt.start_seconds),
            )

    async def progress(self, attempt: Attempt, segments: Sequence[Segment], seconds: float) -> None:
        """All before ``seconds`` is here: store it, and go on from there should this attempt break off."""
        async with self._pool.connection() as connection:
            await _write(
                connection,
                attempt,
                "state = 'running', progress_seconds = greatest(progress_seconds, %(seconds)s)",
                seconds=seconds,
            )
            await _insert(connection, attempt, segments)
        attempt.progress_seconds = max(attempt.progress_seconds, seconds)
        attempt.segments += len(segments)

    async def finished(self, attempt: Attempt, segments: Sequence[Segment], event: Finished) -> None:
        """The transcript is whole, or as whole as the request allowed."""
        async with self._pool.connection() as connection:
            await connection.execute(
                """
                update attempts set ended_at = now(), declared_seconds = %(declared_seconds)s, samples = %(samples)s,
                    delivered_seconds = %(delivered_seconds)s, covered_seconds = %(covered_seconds)s,
                    sha256 = %(sha256)s, etag = %(etag)s, extraction_id = %(extraction_id)s,
                    last_modified = %(last_modified)s, size = %(size)s
                where transcription_id = %(id)s and attempt = %(attempt)s
                """,
                {**event.model_dump(), "id": attempt.id, "attempt": attempt.number},
            )
            await _write(
                connection,
                attempt,
                f"""
                state = 'done', {FORGET_ERROR}, finished_at = now(), complete = %(complete)s, reason = %(reason)s,
                declared_seconds = coalesce(%(start)s + %(declared)s, declared_seconds),
                progress_seconds = %(start)s + %(covered)s
                """,
                start=attempt.start_seconds,
                complete=event.complete,
                reason=event.reason,
                declared=event.declared_seconds,
                covered=event.covered_seconds,
            )
            await _insert(connection, attempt, segments)
        attempt.segments += len(segments)

    async def waiting(self, attempt: Attempt, obstacle: MachineError) -> None:
        """No Machine B takes the job for now."""
        async with self._pool.connection() as connection:
            await _write(connection, attempt, f"state = 'waiting', {_ERROR}", **_error(obstacle))

    async def try_again(self, attempt: Attempt, failure: MachineError, delay_seconds: float) -> None:
        """Put the job back into the queue after a transient failure."""
        async with self._pool.connection() as connection:
            await _write(
                connection, attempt, f"state = 'waiting', failures = failures + 1, {_ERROR}", **_error(failure)
            )
            await _end(connection, attempt, failure)
            await self._queue.put(connection, [attempt.id], delay_seconds)

    async def fail(self, attempt: Attempt, failure: MachineError) -> None:
        """Give the job up, with the reason."""
        async with self._pool.connection() as connection:
            await _write(connection, attempt, f"state = 'failed', finished_at = now(), {_ERROR}", **_error(failure))
            await _end(connection, attempt, failure)

    async def start_over(self, attempt: Attempt) -> None:
        """Forget what is stored: it does not fit the recording any more."""
        async with self._pool.connection() as connection:
            await _write(connection, attempt, "progress_seconds = 0, declared_seconds = null")
            await connection.execute("delete from segments where transcription_id = %s", (attempt.id,))
            await connection.execute("delete from attempts where transcription_id = %s", (attempt.id,))
        attempt.progress_seconds, attempt.segments = 0.0, 0

    async def hand_back(self, attempt: Attempt) -> None:
        """Leave the job to another worker; it counts as no failure."""
        async with self._pool.connection() as connection:
            await _write(connection, attempt, "state = 'queued'")
            await self._queue.put(connection, [attempt.id])


_ERROR = "error_code = %(code)s, error_message = %(message)s, error_details = %(details)s"


def _error(failure: MachineError) -> dict[str, Any]:
    return {"code": failure.code, "message": failure.message, "details": Jsonb(failure.details)}


async def _write(connection: Connection, attempt: Attempt, assignments: str, **parameters: Any) -> None:
    """The fence: one statement that changes the job and proves that the attempt may.

    It locks the row to the end of the transaction, so that no newer attempt begins before the rest is written.
    """
    cursor = await connection.execute(
        f"""
        update transcriptions t set {assignments}
        where t.id = %(id)s and t.attempt = %(attempt)s
        """,
        {**parameters, "id": attempt.id, "attempt": attempt.number},
    )
    if cursor.rowcount == 0:
        raise Superseded(f"{attempt.savepath}: attempt {attempt.number} is over")


async def _insert(connection: Connection, attempt: Attempt, segments: Sequence[Segment]) -> None:
    if not segments:
        return
    before = await connection.execute(
        "select text from segments where transcription_id = %s and index >= %s order by index",
        (attempt.id, attempt.segments - LEAD_WORDS),
    )
    search = vectors([segment.text for segment in segments], [row[0] for row in await before.fetchall()])
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            insert into segments (transcription_id, index, start_seconds, end_seconds, text, tokens, words,
                avg_logprob, no_speech_prob, compression_ratio, temperature, search)
            values (%(id)s, %(index)s, %(start)s, %(end)s, %(text)s, %(tokens)s, %(words)s,
                %(avg_logprob)s, %(no_speech_prob)s, %(compression_ratio)s, %(temperature)s, %(search)s)
            """,
            [
                {
                    **segment.model_dump(),
                    "id": attempt.id,
                    "index": attempt.segments + position,
                    "search": search[position],
                    "words": None if segment.words is None else Jsonb([word.model_dump() for word in segment.words]),
                }
                for position, segment in enumerate(segments)
            ],
        )


async def _end(connection: Connection, attempt: Attempt, failure: MachineError) -> None:
    await connection.execute(
        """
        update attempts set ended_at = now(), error_code = %s, error_message = %s
        where transcription_id = %s and attempt = %s
        """,
        (failure.code, failure.message, attempt.id, attempt.number),
    )
