"""A kind of work that follows transcriptions: previews, and the sound as a file, are stored as objects.

The extractor makes them, and what it sends goes into the bucket while it arrives: the last part is only stored once the
extractor has said that all of it is complete.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple, Protocol

from orchestrator.database.pool import Pool
from orchestrator.database.sql import Connection
from orchestrator.errors import Unavailable
from orchestrator.exports.following import Removing, follow_transcriptions, remove_all_but
from orchestrator.exports.names import for_one_bucket
from orchestrator.exports.pending_results import STORE_MEDIA
from orchestrator.exports.proven_source import ProvenSource
from orchestrator.jobs import deletion, transitions
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.attempts import Attempt
from orchestrator.queue.entries import QueueEntries
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.models import Transcript
from reelscribe.blocking_calls import call_blocking
from reelscribe.contracts.clips import PreviewRequest
from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.errors import PeerUnreachable, RemoteError, ServiceError, SettingsError, StreamCut
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.extractor_client import ExtractedAudio, ExtractedClip, ExtractorClient
from reelscribe.settings.orchestrator import ResultsSection

log = logging.getLogger(__name__)

PRIORITY = -1000
"""They come after transcriptions: the extractor works for minutes on a long recording."""
NOT_NOW = frozenset({"busy", "stopping", "bucket_unavailable", "no_room"})
"""Codes of the extractor that say nothing about the recording."""
FOR_SOMEONE = frozenset({"unauthorized", "scope_missing", "host_not_allowed", "route_not_found", "method_not_allowed"})
"""Codes that every recording would meet until someone has put that right."""
NOTHING_THERE = frozenset({"no_video_track", "no_audio_track"})
"""Codes for what a recording does not have, which is no failure."""
RETRY_SECONDS = 5.0


class MediaBucket(Removing, Protocol):
    """Where they are stored; see :mod:`orchestrator.exports.result_bucket`."""

    def put_stream(self, name: str, source: ProvenSource, content_type: str) -> None:
        """Store an object while it arrives; blocks."""


class Wanted(NamedTuple):
    """One object: which key of ``[results]`` names it, how its name ends, and what the extractor is asked for."""

    key: str
    ending: str
    request: PreviewRequest | ExtractAudioRequest

    def made_of(self, etag: str) -> str:
        """Of which object it is made, and how."""
        asked = self.request.model_dump_json(exclude={"savepath", "bucket_name"})
        return f"{etag} {hashlib.sha256(asked.encode()).hexdigest()[:16]}"


class MediaStore:
    """Stores what ``[results]`` names besides transcripts.

    Args:
        buckets: by the keys of ``[results]`` that name them.
        recordings: the buckets of the recordings; results of all but the first are in a folder named for the bucket.
        max_attempts: at something that the extractor cannot make.

    Raises:
        SettingsError: a result would be taken for a recording.
    """

    def __init__(
        self,
        pool: Pool,
        queue: QueueEntries,
        buckets: Mapping[str, MediaBucket],
        section: ResultsSection,
        recordings: Sequence[str],
        extractor_url: str,
        tokens: Tokens,
        max_attempts: int,
    ) -> None:
        if problems := without_folder(section, recordings):
            raise SettingsError(list(problems.values()))
        self._pool = pool
        self._queue = queue
        self._buckets = buckets
        self._section = section
        self._recordings = recordings
        self._extractor_url = extractor_url
        self._tokens = tokens
        self._max_attempts = max_attempts

    async def follow_transcriptions(self) -> None:
        """From now on, store what is transcribed, by whichever worker; and what was transcribed before."""
        await follow_transcriptions(self._pool, self._queue, STORE_MEDIA, PRIORITY)

    async def work(self, attempt: Attempt) -> None:
        """Store all of one recording; see :class:`orchestrator.worker.kinds.Kind`."""
        async with self._pool.connection() as connection:
            stored = await job_queries.newest_finished(connection, attempt.bucket, attempt.savepath)
            about = await transcript_queries.about_transcript(connection, stored) if stored else None
        lost = await self._store(attempt, about) if about else None
        async with self._pool.connection() as connection:
            if lost:
                await transitions.fail(connection, attempt, lost)
            else:
                await transitions.finish(connection, attempt)
            newest = await job_queries.newest_finished(connection, attempt.bucket, attempt.savepath)
            if newest and (stored is None or newest.id != stored.id):  # it was finished meanwhile
                await self._queue.put(connection, await transitions.repeat(connection, attempt.id))

    async def _store(self, attempt: Attempt, about: Transcript) -> ServiceError | None:
        """Store what is not there yet; why something cannot be made, although the rest is stored.

        Raises:
            ServiceError: try again.
        """
        assert attempt.media_id is not None
        async with self._pool.connection() as connection:
            made = await deletion.made(connection, attempt.media_id)
        etag = about.receipt.parts[-1].etag or ""
        stored, again, lost = defaultdict[str, set[str]](set), list[ServiceError](), list[ServiceError]()
        async with ExtractorClient(self._extractor_url, self._tokens) as extractor:
            for wanted in self._wanted(attempt, about):
                bucket, folder = self._section.media[wanted.key]
                name = folder + for_one_bucket(attempt.bucket, attempt.savepath, self._recordings) + wanted.ending
                if made.get((bucket, name)) != wanted.made_of(etag):
                    try:
                        await self._make(attempt, extractor, wanted, bucket, name)
                    except (RemoteError, StreamCut) as failure:
                        self._sort(attempt, wanted, failure, again, lost)
                        continue
                stored[bucket].add(name)
        if again:
            raise again[0]
        await remove_all_but(self._pool, next(iter(self._buckets.values())), attempt, stored)
        count = sum(map(len, stored.values()))
        log.info("%s: %d previews and sound files are stored", attempt.savepath, count)
        return lost[0] if lost else None

    def _wanted(self, attempt: Attempt, about: Transcript) -> list[Wanted]:
        savepath, bucket = attempt.savepath, None if attempt.bucket == self._recordings[0] else attempt.bucket
        length = about.job.declared_seconds or about.job.progress_seconds
        wanted = []
        for key in self._section.media:
            if key == "audio":
                format = self._section.audio_format
                audio = ExtractAudioRequest(savepath=savepath, bucket_name=bucket, audio_format=format)
                wanted.append(Wanted(key, f".{format}", audio))
                continue
            for number in range(self._section.previews):
                preview = PreviewRequest.model_validate({"savepath": savepath, "bucket_name": bucket, "format": key})
                middle = length * (number + 0.5) / self._section.previews
                start = round(max(0.0, min(middle - preview.seconds / 2, length - preview.seconds)), 3)
                preview = preview.model_copy(update={"moments": [start]})
                wanted.append(Wanted(key, f".{number + 1}.{key}", preview))
        return wanted

    async def _make(self, attempt: Attempt, extractor: ExtractorClient, wanted: Wanted, bucket: str, name: str) -> None:
        """
        Raises:
            RemoteError, StreamCut: the extractor cannot make it, or its stream broke off.
            Unavailable: the extractor does not answer, or not now.
            Superseded: the recording was forgotten, or the attempt is over.
            ServiceError: the bucket does not take it.
        """
        assert attempt.media_id is not None
        async with self._pool.connection() as connection:
            await deletion.note_result(connection, attempt.media_id, bucket, name, STORE_MEDIA)
        async with AsyncExitStack() as held:
            body = await held.enter_async_context(_sent(extractor, wanted.request))
            holding: list[Connection] = []

            async def prove() -> None:
                """Once all of it is here, deletions wait until it is stored."""
                if body.receipt is None or body.receipt.state != "complete":
                    reason = body.receipt.reason if body.receipt else None
                    raise RemoteError(502, "incomplete_recording", reason or "it is not complete", False)
                connection = await held.enter_async_context(self._pool.connection())
                await deletion.hold_recording(connection, attempt)
                holding.append(connection)

            source = ProvenSource(body.chunks(), prove)
            put = partial(self._buckets[wanted.key].put_stream, name, source, body.content_type)
            await call_blocking(put, source.stop)
            [connection] = holding
            await deletion.note_made(connection, attempt.media_id, bucket, name, wanted.made_of(body.etag))

    def _sort(
        self,
        attempt: Attempt,
        wanted: Wanted,
        failure: ServiceError,
        again: list[ServiceError],
        lost: list[ServiceError],
    ) -> None:
        """What becomes of something that was not made."""
        if failure.code in NOTHING_THERE:
            log.info("%s: no %s is stored: %s", attempt.savepath, wanted.ending[1:], failure.message)
        elif failure.code in NOT_NOW | FOR_SOMEONE or (failure.retryable and attempt.failures + 1 < self._max_attempts):
            again.append(failure)
        else:
            log.warning("%s: no %s is stored: %s", attempt.savepath, wanted.ending[1:], failure.message)
            lost.append(failure)


@asynccontextmanager
async def _sent(
    extractor: ExtractorClient, request: PreviewRequest | ExtractAudioRequest
) -> AsyncIterator[ExtractedAudio | ExtractedClip]:
    """
    Raises:
        Unavailable: the extractor does not answer, or not now.
        RemoteError: it cannot make it.
    """
    body: ExtractedAudio | ExtractedClip
    async with AsyncExitStack() as stack:
        try:
            if isinstance(request, ExtractAudioRequest):
                body = await stack.enter_async_context(extractor.extract(request))
            else:
                body = await stack.enter_async_context(extractor.preview(request))
        except ServiceError as failure:
            if isinstance(failure, PeerUnreachable) or failure.code in NOT_NOW:
                seconds = float(failure.details.get("retry_after") or RETRY_SECONDS)
                raise Unavailable(failure.message, seconds) from failure
            raise
        yield body


def without_folder(section: ResultsSection, recordings: Sequence[str]) -> dict[str, str]:
    """What is wrong with keys of ``[results]``: what is stored among recordings would be taken for one."""
    return {
        key: f"[results] {key}: bucket {bucket} has recordings; name a folder of it, such as {bucket}/{key}"
        for key, (bucket, folder) in section.media.items()
        if bucket in recordings and not folder
    }
