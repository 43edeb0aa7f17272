"""Finished transcripts stored as objects next to their savepaths, each until it is there."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, cast

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError

from orchestrator.database.pool import TROUBLE, Pool
from orchestrator.exports import results_queue
from orchestrator.exports.results_queue import Claim
from orchestrator.jobs import queries as job_queries
from orchestrator.transcripts import formats
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.models import Transcript
from orchestrator.transcripts.reader import parts
from orchestrator.worker.retry import exponential
from reelscribe.errors import PeerRefused, PeerUnreachable, ServiceError, SettingsError
from reelscribe.settings.orchestrator import ResultsSection
from reelscribe.settings.sections import MinioSection

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
IN_MEMORY_BYTES = 4 << 20
"""A larger result is written to a temporary file first: its length goes before it."""
CONNECT_SECONDS, READ_SECONDS = 5, 60

_pause = exponential(2, results_queue.LONGEST_PAUSE_SECONDS)


class ResultBucket:
    """The bucket that results go to, by MinIO's S3 API.

    Raises:
        SettingsError: ``[minio]`` has no endpoint or no usable key.
    """

    def __init__(self, minio: MinioSection, results: ResultsSection) -> None:
        if not (minio.endpoint and results.bucket):
            raise SettingsError(["[results] bucket: needs [minio] endpoint, access_key and secret_key_file beside it"])
        self._bucket = results.bucket
        self._name = f"MinIO at {minio.endpoint}"
        self._client = Minio(
            endpoint=minio.endpoint,
            access_key=minio.access_key,
            secret_key=minio.secret_key(),
            secure=minio.secure,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), retries=False
            ),
        )

    def put(self, name: str, content: IO[bytes], content_type: str) -> None:
        """Store an object; blocks.

        Raises:
            PeerUnreachable, PeerRefused: it is not stored.
        """
        length = content.seek(0, 2)
        content.seek(0)
        with self._as_service_errors(name):
            self._client.put_object(
                bucket_name=self._bucket,
                object_name=name,
                data=cast(BinaryIO, content),
                length=length,
                content_type=content_type,
            )

    @contextmanager
    def _as_service_errors(self, name: str) -> Iterator[None]:
        where = f"{name} into bucket {self._bucket}"
        try:
            yield
        except S3Error as refused:
            raise PeerRefused(
                f"{self._name} does not take {where} ({refused.code}); see [results] bucket, and the rights of "
                "[minio] access_key (s3:PutObject)"
            ) from refused
        except (ServerError, InvalidResponseError) as strange:
            raise PeerRefused(f"{self._name} did not take {where}: {strange}") from strange
        except ValueError as unfit:
            raise PeerRefused(f"{where}: cannot be stored: {unfit}") from unfit
        except urllib3.exceptions.HTTPError as away:
            raise PeerUnreachable(f"{self._name} does not answer; check that it runs, and [minio] endpoint") from away


class ResultWriter:
    """Stores pending results, one after the other; several of them share the work."""

    def __init__(self, pool: Pool, bucket: ResultBucket, section: ResultsSection) -> None:
        self._pool = pool
        self._bucket = bucket
        self._section = section

    async def run(self) -> None:
        """Store what is pending, until cancelled."""
        while True:
            try:
                async with self._pool.connection() as connection:
                    claimed = await results_queue.claim(connection)
                if claimed:
                    await self._settle(claimed)
                    continue
            except TROUBLE as lost:
                log.debug("results: no database now: %s", lost)
            await asyncio.sleep(LOOK_SECONDS)

    async def _settle(self, claimed: Claim) -> None:
        try:
            await self._store(claimed)
        except ServiceError as failure:
            await self._put_off(claimed, failure.message)
        except TROUBLE:
            raise
        except OSError as full:
            await self._put_off(claimed, f"the temporary file cannot be written: {full.strerror or full}")
        except Exception as bug:
            log.exception("result of job %d", claimed.job)
            await self._put_off(claimed, f"the orchestrator failed with {type(bug).__name__}; its log has the details")

    async def _put_off(self, claimed: Claim, reason: str) -> None:
        delay = _pause(claimed.tries)
        log.warning("result of job %d: %s; next try in %.0f s", claimed.job, reason, delay)
        async with self._pool.connection() as connection:
            await results_queue.failed(connection, claimed, reason, delay)

    async def _store(self, claimed: Claim) -> None:
        async with self._pool.connection() as connection:
            jobs = await job_queries.jobs_by_id(connection, [claimed.job])
            newest = await job_queries.newest_finished(connection, jobs[0].bucket, jobs[0].savepath) if jobs else None
            if newest is None or newest.id != claimed.job:
                await results_queue.dropped(connection, claimed)
                return
            job = newest
            transcript = await transcript_queries.about_transcript(connection, job)
        for format in self._section.formats:
            await self._put(transcript, format)
        async with self._pool.connection() as connection:
            await results_queue.stored(connection, job)
        log.info("%s: result stored as %s", job.savepath, ", ".join(self._section.formats))

    async def _put(self, transcript: Transcript, format: formats.Format) -> None:
        name = f"{self._section.prefix}{transcript.job.savepath}.{format}"
        with SpooledTemporaryFile(IN_MEMORY_BYTES) as content:
            async for part in parts(self._pool, transcript, format):
                content.write(part.encode())
            await asyncio.to_thread(self._bucket.put, name, content, formats.CONTENT_TYPES[format])


def make_result_writer(pool: Pool, minio: MinioSection, results: ResultsSection) -> ResultWriter:
    """The writer that ``[results]`` asks for.

    Raises:
        SettingsError: see :class:`ResultBucket`.
    """
    return ResultWriter(pool, ResultBucket(minio, results), results)
