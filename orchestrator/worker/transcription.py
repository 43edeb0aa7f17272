"""The kind of work that people ask for: a recording is sent to a transcriber, and its segments are stored."""

import logging
import time
from contextlib import aclosing

from orchestrator.errors import BucketAway, NoTranscriber
from orchestrator.jobs.attempts import Attempt
from orchestrator.jobs.models import TRANSCRIBE
from orchestrator.jobs.vocabulary import words_of
from orchestrator.worker.kinds import Kind
from orchestrator.worker.progress import Beginning, TranscriptionProgress
from orchestrator.worker.retry import RetryPolicy
from orchestrator.worker.transcriber_choice import RETRY_SECONDS, JobStream, Transcribers
from orchestrator.worker.transcriber_client import UNAVAILABLE_CODES, read_end
from reelscribe.contracts.events import UNKNOWN_LANGUAGE, Failed, Finished, Progress, Segment, Started
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.errors import RemoteError, ServiceError, StreamCut

log = logging.getLogger(__name__)

MOST_RUNNING = 1000
"""Jobs that one worker runs at the same time, however many slots there are."""


def transcription(
    progress: TranscriptionProgress,
    transcribers: Transcribers,
    default_bucket: str,
    max_running: int | None,
    retry: RetryPolicy,
) -> Kind:
    """Transcriptions as a kind of work.

    Args:
        default_bucket: the one that the extractor takes when none is named.
        max_running: jobs that the worker runs at the same time; None: as many as the transcribers have slots for.
    """

    def away(bucket: str) -> ServiceError | None:
        return transcribers.away(_named(bucket, default_bucket))

    async def work(attempt: Attempt) -> None:
        if attempt.waited:
            await progress.choose_vocabulary(attempt)
        try:
            async with transcribers.transcribe(_request(attempt, default_bucket)) as stream:
                log.info("%s: from %.1f s at %s", attempt.savepath, attempt.progress_seconds, stream.url)
                began = time.monotonic()
                await _store(progress, attempt, stream)
        except NoTranscriber as refused:
            if attempt.progress_seconds != attempt.start_seconds:
                await progress.hand_back(attempt)
                return
            if reason := away(attempt.bucket):
                raise BucketAway(reason.message, refused.retry_after) from refused
            raise
        seconds, took = attempt.progress_seconds - attempt.start_seconds, time.monotonic() - began
        speed = seconds / max(took, 1e-3)
        log.info("%s: done, %d segments, %.1f x real time", attempt.savepath, attempt.segments, speed)

    if max_running is None:
        return Kind(TRANSCRIBE, MOST_RUNNING, work, retry, progress.rewind, transcribers.most_jobs, away)
    return Kind(TRANSCRIBE, max_running, work, retry, progress.rewind, away=away)


def _request(attempt: Attempt, default_bucket: str) -> TranscribeRequest:
    """What to ask the transcriber for: what is not stored yet, in the language of what is stored."""
    attempt.start_seconds, attempt.first_segment = attempt.progress_seconds, attempt.segments
    options = dict(attempt.options)
    if attempt.segments and attempt.language != UNKNOWN_LANGUAGE and not options.get("multilingual"):
        options.pop("languages", None)
        options.setdefault("language", attempt.language)
    return TranscribeRequest(
        savepath=attempt.savepath,
        bucket_name=_named(attempt.bucket, default_bucket),
        start=attempt.start_seconds,
        vocabulary=tuple(words_of(attempt.vocabulary)),
        **options,
    )


def _named(bucket: str, default_bucket: str) -> str | None:
    """A bucket in a request: the extractor knows its default bucket by itself."""
    return None if bucket == default_bucket else bucket


async def _store(progress: TranscriptionProgress, attempt: Attempt, stream: JobStream) -> None:
    """Store a stream of events; those that have arrived together are one write. Segments wait for the next progress
    event, so that none is stored twice: a later attempt starts at the progress that was committed with them.
    """
    pending: list[Segment] = []
    async with aclosing(stream.events()) as events:
        async for arrived in events:
            started: Beginning | None = None
            reached: Progress | None = None
            ended: Finished | Failed | None = None
            for event in arrived:
                match event:
                    case Started():
                        attempt.reading = True
                        started = Beginning(stream.url, event)
                    case Segment():
                        pending.append(event)
                    case Progress():
                        reached = _later(reached, event)
                    case Finished() | Failed():
                        ended = event
                        break
            if isinstance(ended, Finished):
                await progress.finish(attempt, pending, ended, started)
                await read_end(events)
                return
            if reached:
                ready = [segment for segment in pending if segment.start < reached.seconds]
                pending = [segment for segment in pending if segment.start >= reached.seconds]
                await progress.store(attempt, ready, reached.seconds, reached.speech_without_words, started)
            elif started:
                await progress.start(attempt, *started)
            if ended:
                raise _failure(ended)
    raise StreamCut(f"the events of {stream.url} ended without saying how the job ended")


def _later(before: Progress | None, event: Progress) -> Progress:
    """What a progress event says after another one: it names no speech without words if it adds none."""
    if before is None or event.speech_without_words:
        return event
    return event.model_copy(update={"speech_without_words": before.speech_without_words})


def _failure(event: Failed) -> ServiceError:
    if event.code in UNAVAILABLE_CODES:
        return NoTranscriber(event.message, RETRY_SECONDS)
    error = RemoteError(502, event.code, event.message, event.retryable)
    error.details = event.details
    return error
