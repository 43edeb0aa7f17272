"""What a running attempt writes. Every write names its attempt: one that is no longer the newest changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from orchestrator.database.pool import TROUBLE, Pool
from orchestrator.database.sql import Connection
from orchestrator.errors import ObjectChanged, Superseded
from orchestrator.jobs.transitions import FORGET_ERROR
from orchestrator.queue.procrastinate import Queue
from orchestrator.transcripts.words import LEAD_WORDS, vectors
from reelscribe.contracts.events import Finished, Segment, Started
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.errors import ServiceError

PATIENCE_SECONDS = 20.0
"""How long a write waits for a database that is gone, while the transcriber's stream stands still."""

_patiently = retry(
    retry=retry_if_exception_type(TROUBLE),
    wait=wait_random_exponential(multiplier=0.2, max=2),
    stop=stop_after_delay(PATIENCE_SECONDS),
    reraise=True,
)
"""For writes that may be repeated: a connection can break after the commit, before we hear of it."""


@dataclass
class Attempt:
    """One worker's turn at a job.

    Attributes:
        id: of the transcription.
        number: of this attempt; what every write names.
        failures: transient failures since the job last came further.
        progress_seconds: all before it is stored; where to go on.
        previous_seconds: where that was before the last segments were stored.
        segments: how many are stored, which is the index of the next.
        language: that they were heard in.
        start_seconds: where the transcriber was asked to start, with ``first_segment`` as the next index.
    """

    id: int
    number: int
    failures: int
    bucket: str
    savepath: str
    options: dict[str, Any]
    progress_seconds: float
    previous_seconds: float
    segments: int
    language: str | None
    start_seconds: float = 0.0
    first_segment: int = 0

    def request(self, default_bucket: str) -> TranscribeRequest:
        """What to ask the transcriber for now, in the language in which it heard what is stored.

        The extractor knows its default bucket by itself.
        """
        self.start_seconds, self.first_segment = self.progress_seconds, self.segments
        go_on = {"language": self.language} if self.segments and not self.options.get("multilingual") else {}
        return TranscribeRequest(
            savepath=self.savepath,
            bucket_name=None if self.bucket == default_bucket else self.bucket,
            start=self.start_seconds,
            **{**go_on, **self.options},
        )


class Attempts:
    """Begins attempts and stores what they bring.

    All methods but :meth:`begin` raise :class:`orchestrator.errors.Superseded` where the attempt is not the newest.
    """

    def __init__(self, pool: Pool, queue: Queue) -> None:
        self._pool = pool
        self._queue = queue

    @_patiently
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
                    t.previous_seconds, t.language,
                    (select count(*) from segments s where s.transcription_id = t.id) as segments
                """,
                (transcription, queue_job),
            )
            row = await cursor.fetchone()
        return Attempt(**row) if row else None

    @_patiently
    async def started(self, attempt: Attempt, transcriber_url: str, event: Started) -> None:
        """The transcriber is at work.

        Raises:
            ObjectChanged: not on the object that the stored segments are of.
        """
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
            await _compare(connection, attempt, event.etag)
            await connection.execute(
                """
                insert into attempts (transcription_id, attempt, transcriber_url, start_seconds, etag)
                values (%s, %s, %s, %s, %s)
                on conflict (transcription_id, attempt) do update set transcriber_url = excluded.transcriber_url,
                    start_seconds = excluded.start_seconds, etag = excluded.etag
                """,
                (attempt.id, attempt.number, transcriber_url, attempt.start_seconds, event.etag),
            )

    @_patiently
    async def progress(self, attempt: Attempt, segments: Sequence[Segment], seconds: float) -> None:
        """All before ``seconds`` is here: store it, and go on from there should this attempt break off."""
        async with self._pool.connection() as connection:
            await _write(
                connection,
                attempt,
                """
                state = 'running', progress_seconds = greatest(progress_seconds, %(seconds)s),
                previous_seconds =
                    case when %(seconds)s > progress_seconds then progress_seconds else previous_seconds end,
                furthest_seconds = greatest(furthest_seconds, %(seconds)s),
                failures = case when %(seconds)s > furthest_seconds then 0 else failures end
                """,
                seconds=seconds,
            )
            await connection.execute(
                """
                update attempts set covered_seconds = %s - start_seconds, segments = %s
                where transcription_id = %s and attempt = %s
                """,
                (
                    attempt.progress_seconds,
                    attempt.segments + len(segments) - attempt.first_segment,
                    attempt.id,
                    attempt.number,
                ),
            )
            await _insert(connection, attempt, segments)
        attempt.segments += len(segments)

    @_patiently
    async def finished(self, attempt: Attempt, segments: Sequence[Segment], event: Finished) -> None:
        """The transcript is whole, or as whole as the request allowed.

        Raises:
            ObjectChanged: the earlier segments are of another object.
        """
        async with self._pool.connection() as connection:
            await _compare(connection, attempt, event.etag)
            await connection.execute(
                """
                update attempts set ended_at = now(), declared_seconds = %(declared_seconds)s, samples = %(samples)s,
                    delivered_seconds = %(delivered_seconds)s, covered_seconds = %(covered_seconds)s,
                    sha256 = %(sha256)s, etag = %(etag)s, extraction_id = %(extraction_id)s,
                    last_modified = %(last_modified)s, size = %(size)s, segments = %(segments)s
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

    @_patiently
    async def waiting(self, attempt: Attempt, obstacle: ServiceError) -> None:
        """No transcriber takes the job for now."""
        async with self._pool.connection() as connection:
            await _write(connection, attempt, f"state = 'waiting', {_ERROR}", **_error(obstacle))

    @_patiently
    async def try_again(self, attempt: Attempt, failure: ServiceError, delay_seconds: float) -> None:
        """Put the job back into the queue after a transient failure."""
        async with self._pool.connection() as connection:
            await _write(
                connection, attempt, f"state = 'waiting', failures = failures + 1, {_ERROR}", **_error(failure)
            )
            await _end(connection, attempt, failure)
            await self._queue.put(connection, [attempt.id], delay_seconds)

    @_patiently
    async def fail(self, attempt: Attempt, failure: ServiceError) -> None:
        """Give the job up, with the reason."""
        async with self._pool.connection() as connection:
            await _write(connection, attempt, f"state = 'failed', finished_at = now(), {_ERROR}", **_error(failure))
            await _end(connection, attempt, failure)

    @_patiently
    async def step_back(self, attempt: Attempt, seconds: float) -> None:
        """Forget what is stored from ``seconds`` on, a progress of before."""
        async with self._pool.connection() as connection:
            await _write(
                connection,
                attempt,
                "progress_seconds = %(seconds)s, previous_seconds = 0, declared_seconds = null",
                seconds=seconds,
            )
            await connection.execute(
                "delete from segments where transcription_id = %s and start_seconds >= %s", (attempt.id, seconds)
            )
            await connection.execute(
                "delete from attempts where transcription_id = %s and start_seconds >= %s", (attempt.id, seconds)
            )
            await connection.execute(
                """
                update attempts a set covered_seconds = %(seconds)s - start_seconds, segments = (
                    select count(*) from segments s
                    where s.transcription_id = a.transcription_id and s.start_seconds >= a.start_seconds
                )
                where transcription_id = %(id)s and start_seconds + covered_seconds > %(seconds)s
                """,
                {"seconds": seconds, "id": attempt.id},
            )
            left = await connection.execute("select count(*) from segments where transcription_id = %s", (attempt.id,))
            row = await left.fetchone()
        attempt.segments = row[0] if row else 0

    @_patiently
    async def start_over(self, attempt: Attempt) -> None:
        """Forget all that is stored."""
        async with self._pool.connection() as connection:
            await _write(
                connection,
                attempt,
                """
                progress_seconds = 0, previous_seconds = 0, furthest_seconds = 0, declared_seconds = null
                """,
            )
            await connection.execute("delete from segments where transcription_id = %s", (attempt.id,))
            await connection.execute("delete from attempts where transcription_id = %s", (attempt.id,))
        attempt.segments = 0

    async def hand_back(self, attempt: Attempt) -> None:
        """Leave the job to another worker; it counts as no failure."""
        async with self._pool.connection() as connection:
            await _write(connection, attempt, "state = 'queued'")
            await self._queue.put(connection, [attempt.id])


_ERROR = "error_code = %(code)s, error_message = %(message)s, error_details = %(details)s"


def _error(failure: ServiceError) -> dict[str, Any]:
    return {"code": failure.code, "message": failure.message, "details": Jsonb(failure.details)}


async def _write(connection: Connection, attempt: Attempt, assignments: str, **parameters: Any) -> None:
    """The fence: one statement that changes the job and proves that the attempt may.

    It locks the row to the end of the transaction, so that no newer attempt begins before the rest is written.
    """
    cursor = await connection.execute(
        f"""
        update transcriptions t set {assignments}
        where t.id = %(id)s and t.attempt = %(attempt)s
        returning progress_seconds, previous_seconds, failures
        """,
        {**parameters, "id": attempt.id, "attempt": attempt.number},
    )
    if (row := await cursor.fetchone()) is None:
        raise Superseded(f"{attempt.savepath}: attempt {attempt.number} is over")
    attempt.progress_seconds, attempt.previous_seconds, attempt.failures = row


async def _compare(connection: Connection, attempt: Attempt, etag: str | None) -> None:
    """What an attempt adds must be of the object that the parts before it are of."""
    if attempt.start_seconds == 0 or etag is None:
        return
    cursor = await connection.execute(
        """
        select etag from attempts where transcription_id = %s and attempt < %s and etag is not null
        order by attempt desc limit 1
        """,
        (attempt.id, attempt.number),
    )
    row = await cursor.fetchone()
    if row and row[0] != etag:
        raise ObjectChanged(
            f"{attempt.savepath} has changed after {attempt.start_seconds:.0f} s of it were heard; it is heard again "
            "from the start"
        )


async def _insert(connection: Connection, attempt: Attempt, segments: Sequence[Segment]) -> None:
    if not segments:
        return
    before: list[str] = []
    if attempt.segments:
        cursor = await connection.execute(
            "select text from segments where transcription_id = %s and index >= %s order by index",
            (attempt.id, attempt.segments - LEAD_WORDS),
        )
        before = [row[0] for row in await cursor.fetchall()]
    search = vectors([segment.text for segment in segments], before)
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            insert into segments (transcription_id, index, start_seconds, end_seconds, text, tokens, words,
                avg_logprob, no_speech_prob, compression_ratio, temperature, language, search)
            values (%(id)s, %(index)s, %(start)s, %(end)s, %(text)s, %(tokens)s, %(words)s,
                %(avg_logprob)s, %(no_speech_prob)s, %(compression_ratio)s, %(temperature)s, %(language)s, %(search)s)
            on conflict do nothing
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


async def _end(connection: Connection, attempt: Attempt, failure: ServiceError) -> None:
    await connection.execute(
        """
        update attempts set ended_at = now(), error_code = %s, error_message = %s
        where transcription_id = %s and attempt = %s
        """,
        (failure.code, failure.message, attempt.id, attempt.number),
    )
