"""What an attempt at a transcription writes while it goes: that it started, segments, its end.

Every write names its attempt (:func:`orchestrator.jobs.transitions.advance`), and is repeated if the connection broke.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from orchestrator.database.pool import Pool
from orchestrator.database.reconnect import retry_on_reconnect
from orchestrator.database.sql import Connection
from orchestrator.errors import ObjectChanged
from orchestrator.jobs import attempts, transitions, vocabulary
from orchestrator.jobs.attempts import Attempt
from orchestrator.queue.entries import QueueEntries
from orchestrator.transcripts import segments as stored_segments
from orchestrator.transcripts.edits.finished import keep_edits
from orchestrator.transcripts.edits.locking import LOCK_TO_FINISH
from orchestrator.worker.retry import ResumeFrom
from reelscribe.contracts.events import Finished, Segment, Started
from reelscribe.contracts.speech_without_words import SpeechWithoutWords


class Beginning(NamedTuple):
    """What a transcriber has said as it began."""

    transcriber_url: str
    event: Started


class TranscriptionProgress:
    """Stores what attempts bring.

    All methods raise :class:`orchestrator.errors.Superseded` if the attempt is not the newest.
    """

    def __init__(self, pool: Pool, queue: QueueEntries) -> None:
        self._pool = pool
        self._queue = queue

    @retry_on_reconnect
    async def choose_vocabulary(self, attempt: Attempt) -> None:
        """Have the attempt use the words that its savepath has now."""
        async with self._pool.connection() as connection:
            attempt.vocabulary = await vocabulary.choose(connection, attempt.savepath)

    @retry_on_reconnect
    async def start(self, attempt: Attempt, transcriber_url: str, event: Started) -> None:
        """The transcriber is at work.

        Raises:
            ObjectChanged: not on the object that the stored segments are of.
        """
        async with self._pool.connection() as connection:
            await _start(connection, attempt, Beginning(transcriber_url, event))

    @retry_on_reconnect
    async def store(
        self,
        attempt: Attempt,
        segments: Sequence[Segment],
        seconds: float,
        without_words: SpeechWithoutWords | None = None,
        started: Beginning | None = None,
    ) -> None:
        """All before ``seconds`` is here: store it, to resume there should this attempt break off.

        Args:
            without_words: of this attempt so far, if these segments leave more of it.
            started: what :meth:`start` has not stored yet.
        """
        async with self._pool.connection() as connection:
            if started:
                await _start(connection, attempt, started)
            await transitions.advance(
                connection,
                attempt,
                transitions.CONTINUE,
                """
                progress_seconds = greatest(progress_seconds, %(seconds)s),
                previous_seconds =
                    case when %(seconds)s > progress_seconds then progress_seconds else previous_seconds end,
                furthest_seconds = greatest(furthest_seconds, %(seconds)s),
                failures = case when %(seconds)s > furthest_seconds then 0 else failures end
                """,
                seconds=seconds,
            )
            await attempts.extend_receipt(connection, attempt, len(segments), without_words)
            await stored_segments.insert(connection, attempt.id, attempt.segments, segments)
        attempt.segments += len(segments)

    @retry_on_reconnect
    async def finish(
        self, attempt: Attempt, segments: Sequence[Segment], event: Finished, started: Beginning | None = None
    ) -> None:
        """The transcript is complete, or as complete as the request allowed; what follows from it is queued.

        Args:
            started: what :meth:`start` has not stored yet.

        Raises:
            ObjectChanged: the earlier segments are of another object.
        """
        async with self._pool.connection() as connection:
            await _check_object(connection, attempt, event.etag)
            without_words = await attempts.speech_without_words(connection, attempt, event)
            most_seconds = attempt.options.get("max_speech_without_words")
            lack = without_words.too_long(most_seconds) if without_words else None
            own_lack = event.speech_without_words and event.speech_without_words.too_long(most_seconds)
            writes = [attempts.complete_receipt(attempt, event, *started or ())]
            if segments:
                writes.append(
                    await stored_segments.insertion(connection, attempt.id, attempt.segments, segments, "changed")
                )
            follows, recording = await transitions.finish(
                connection,
                attempt,
                f"""
                {_SAID + "," if started else ""} complete = %(complete)s, reason = %(reason)s,
                declared_seconds = coalesce(%(start)s + %(declared)s, %(duration)s, declared_seconds),
                progress_seconds = %(start)s + %(covered)s, speech_without_words = %(without_words)s
                """,
                writes,
                LOCK_TO_FINISH,
                **(_said(attempt, started.event) if started else {"duration": None}),
                start=attempt.start_seconds,
                complete=event.complete and not lack,
                reason=lack if own_lack and event.reason == own_lack else event.reason or lack,
                declared=event.declared_seconds,
                covered=event.covered_seconds,
                without_words=Jsonb(without_words.model_dump()) if without_words else None,
            )
            followers = []
            if follows:
                followers = await transitions.add_follow_ups(connection, attempt.kind, attempt.media_id)
            assert attempt.media_id is not None
            if recording["removed"]:
                await attempts.note_seen(connection, attempt)
            await keep_edits(connection, attempt.id, attempt.media_id, recording["revision"])
            await self._queue.put(connection, followers)
        attempt.segments += len(segments)

    @retry_on_reconnect
    async def hand_back(self, attempt: Attempt) -> None:
        """Let another attempt continue: what it brings is another part of the receipt."""
        async with self._pool.connection() as connection:
            await transitions.hand_back(connection, attempt)
            await self._queue.put(connection, [attempt.id])

    @retry_on_reconnect
    async def rewind(self, attempt: Attempt, resume_from: ResumeFrom) -> None:
        """Drop what is stored from where the next try starts."""
        seconds = attempt.previous_seconds if resume_from is ResumeFrom.PREVIOUS_PROGRESS else 0.0
        furthest = ", furthest_seconds = 0" if resume_from is ResumeFrom.START else ""
        async with self._pool.connection() as connection:
            await transitions.advance(
                connection,
                attempt,
                transitions.CONTINUE,
                f"progress_seconds = %(seconds)s, previous_seconds = 0, declared_seconds = null{furthest}",
                seconds=seconds,
            )
            attempt.segments = await stored_segments.remove_from(connection, attempt.id, seconds)
            await attempts.cut_receipts(connection, attempt.id, seconds)


_SAID = """
    model = %(model)s,
    language_probability = case
        when %(resumed)s and language = %(language)s then language_probability else %(probability)s
    end,
    language = %(language)s
"""


def _said(attempt: Attempt, event: Started) -> dict[str, Any]:
    return {
        "model": event.model,
        "resumed": attempt.segments > 0,  # in the language that was detected, which is not detected again
        "language": event.language,
        "probability": event.language_probability,
        "duration": event.duration,
    }


async def _start(connection: Connection, attempt: Attempt, started: Beginning) -> None:
    assignments = f"{_SAID}, declared_seconds = coalesce(%(duration)s, declared_seconds)"
    await transitions.resume(connection, attempt, assignments, **_said(attempt, started.event))
    await _check_object(connection, attempt, started.event.etag)
    await attempts.open_receipt(connection, attempt, *started)
    await attempts.note_seen(connection, attempt)


async def _check_object(connection: Connection, attempt: Attempt, etag: str) -> None:
    """What an attempt adds must be of the object that the parts before it are of."""
    if attempt.start_seconds == 0:
        return
    earlier = await attempts.earlier_etag(connection, attempt)
    if earlier is not None and earlier != etag:
        raise ObjectChanged(
            f"{attempt.savepath} has changed after {attempt.start_seconds:.0f} s of it were transcribed; it is "
            "transcribed again from the start"
        )
