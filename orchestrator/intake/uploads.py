"""Recordings that come over HTTP: announced, sent in pieces or straight to MinIO, stored as objects, and submitted.

Who takes the bytes follows from the settings. With ``[minio] public_endpoint``, the browser sends them to MinIO. Else
they come to this service, which puts them into the bucket's plain folder, or sends them to MinIO once all are there.
"""

import asyncio
import logging
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from orchestrator.database.pool import CONNECTION_ERRORS, Pool
from orchestrator.errors import ObjectExists, TooManyUploads, UploadIncomplete, UploadNotFound, WrongOffset
from orchestrator.intake.submission import Submissions, Submitted
from orchestrator.intake.unfinished_uploads import Upload, UploadFolder, Writer
from orchestrator.intake.upload_buckets import UploadBuckets, not_written
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import Options
from reelscribe.errors import BadRequest, BodyTooLarge, NoRoom, ServiceError, SettingsError
from reelscribe.settings.loading import Settings

log = logging.getLogger(__name__)

FINISHED_SECONDS = 3600
"""How long it is known what became of an upload, for a client that has lost the answer."""
SWEEP_SECONDS = 600
BUSY_SECONDS = 60


class Announced(NamedTuple):
    """What a client wants to send; see :class:`Upload`."""

    bucket: str | None
    savepath: str
    bytes: int
    overwrite: bool
    options: Options
    priority: int | None


class Uploads:
    """Takes recordings.

    Args:
        settings: of the bucket, MinIO and ``[uploads]``.
    """

    def __init__(self, settings: Settings, pool: Pool, submissions: Submissions) -> None:
        self._settings = settings
        self._pool = pool
        self._submissions = submissions
        self._buckets = UploadBuckets(settings)
        self._writers: dict[str, Writer] = {}
        self._finishing: dict[str, asyncio.Task[Submitted]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._announcing = asyncio.Lock()

    @property
    def browser_endpoint(self) -> str | None:
        """The origin to which browsers send recordings; None: to this service."""
        return self._settings.minio.public_endpoint

    def are_possible(self) -> bool:
        """Whether this service can store objects of the usual bucket, as far as it can be known before."""
        return self._buckets.are_writable()

    async def announce(self, wanted: Announced) -> Upload:
        """A new upload.

        Raises:
            BodyTooLarge: it is over ``[uploads] max_bytes``.
            BadRequest, ObjectExists: see :meth:`UploadBuckets.check_free`.
            TooManyUploads: too many are unfinished.
            NoRoom: the disk cannot hold it.
            NotWritten: this service cannot write into the bucket.
            PeerUnreachable, PeerRefused: MinIO does not answer, or refuses.
        """
        bucket = wanted.bucket or self._settings.paths.bucket_name
        limit = self._settings.uploads.max_bytes
        if wanted.bytes > limit:
            raise BodyTooLarge(
                f"{wanted.savepath} has {wanted.bytes} bytes; at most {limit} are taken ([uploads] max_bytes)",
                limit=limit,
            )
        await self._buckets.check_free(bucket, wanted.savepath, wanted.overwrite)
        upload = Upload(
            id=uuid.uuid4().hex,
            bucket=bucket,
            savepath=wanted.savepath,
            bytes=wanted.bytes,
            overwrite=wanted.overwrite,
            is_direct=bool(self.browser_endpoint),
            options=wanted.options.chosen(),
            priority=wanted.priority,
        )
        async with self._announcing:
            await asyncio.to_thread(self._add, upload)
        return upload

    def find(self, id: str) -> Upload:
        """An upload, also for a while after it was finished.

        Raises:
            UploadNotFound: there is none.
        """
        for folder in self._distinct_folders():
            if (upload := folder.get(id)) and self._is_of(folder, upload):
                return upload
        raise UploadNotFound("there is no such upload (any more); begin again with POST /api/uploads")

    def stored_bytes(self, upload: Upload) -> int:
        """How much of it has arrived here."""
        if upload.job is not None:
            return upload.bytes
        stored = self._folder(upload).stored_bytes(upload.id)
        return stored if stored is not None else 0 if upload.is_direct else upload.bytes

    def link(self, upload: Upload) -> str | None:
        """Where the browser puts it; None: it comes here.

        Raises:
            SettingsError: the secret key of ``[minio]`` cannot be read.
        """
        return self._buckets.link(upload) if upload.is_direct and self.browser_endpoint else None

    async def writer(self, id: str, offset: int) -> Writer:
        """Takes the bytes of one connection, which begin at ``offset``; one that still writes is ended.

        Raises:
            UploadNotFound: there is no such upload.
            BadRequest: its bytes do not come here.
            WrongOffset: another number of bytes has arrived.
            InUse: another process writes it.
        """
        upload = self.find(id)
        if upload.is_direct:
            raise BadRequest("the bytes of this upload go to put.url with PUT, not here")
        if earlier := self._writers.pop(id, None):
            await earlier.stop()
        stored = self.stored_bytes(upload)
        if stored != offset or id in self._finishing:
            raise WrongOffset(f"{stored} bytes have arrived, so the next begins at {stored}", offset=stored)
        try:
            writer = Writer(self._folder(upload).open(id), upload.bytes)
        except OSError:
            raise UploadNotFound("this upload was finished or cancelled at this moment") from None
        self._writers[id] = writer
        return writer

    async def release(self, id: str, writer: Writer) -> None:
        """End a writer; what it has taken is kept."""
        if self._writers.get(id) is writer:
            del self._writers[id]
        await writer.stop()

    def leave(self, id: str, writer: Writer) -> None:
        """End a writer whose connection is gone."""
        task = asyncio.create_task(self.release(id, writer))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def cancel(self, id: str) -> None:
        """Forget an upload and its bytes. An object that it has become stays.

        Raises:
            UploadNotFound: there is no such upload.
        """
        upload = self.find(id)
        if finishing := self._finishing.get(id):
            finishing.cancel()
            await asyncio.wait([finishing])
        if writer := self._writers.pop(id, None):
            await writer.stop()
        self._folder(upload).remove(id)

    async def finish(self, id: str, overwrite: bool = False) -> Submitted:
        """Store a complete upload as an object, and submit it; asked again, the same job.

        Raises:
            UploadNotFound: there is no such upload.
            UploadIncomplete: what is there is not what was announced.
            ObjectExists: one has come meanwhile, and it is not to be replaced.
            NotWritten, PeerUnreachable, PeerRefused: see :meth:`announce`.
        """
        upload = self.find(id)
        if upload.job is None:
            if id not in self._finishing:
                task = asyncio.create_task(self._finish(upload, overwrite))
                self._finishing[id] = task
                task.add_done_callback(lambda ended: self._end(id, ended))
            return await asyncio.shield(self._finishing[id])
        async with self._pool.connection() as connection:
            jobs = await job_queries.jobs_by_id(connection, [upload.job])
        if not jobs or upload.outcome is None:
            raise UploadNotFound("this upload was finished, and its job was removed since")
        return Submitted(jobs[0], upload.outcome)

    async def finish_stored(self, bucket: str, savepaths: Iterable[str]) -> set[str]:
        """Finish the uploads that MinIO reports as stored, before their clients ask for it: else they would be
        submitted twice, with other options. The savepaths of those that were.
        """
        reported, finished = set(savepaths), set()
        for upload in await asyncio.to_thread(self._all):
            if upload.job is None and upload.bucket == bucket and upload.savepath in reported:
                with suppress(ServiceError):  # then it is not this upload, but an object like any other
                    await self.finish(upload.id)
                    finished.add(upload.savepath)
        return finished

    async def keep_clean(self) -> None:
        """Finish what a crash has left stored but not submitted, and remove what has expired, again and again."""
        while True:
            known = await asyncio.to_thread(self._all)
            for upload in known:
                try:
                    await self._clean(upload)
                except (ServiceError, SettingsError, OSError, *CONNECTION_ERRORS) as failure:
                    log.warning("upload of %s: %s; tried again later", upload.savepath, failure)
                except Exception:  # what one upload can cause must not end the service
                    log.exception("upload of %s: tried again later", upload.savepath)
            ids = {upload.id for upload in known}
            for folder in self._distinct_folders():
                with suppress(OSError):
                    await asyncio.to_thread(folder.remove_others, ids, self._settings.uploads.keep_seconds)
            await asyncio.sleep(SWEEP_SECONDS)

    async def close(self) -> None:
        """End all that runs; what is unfinished can be resumed by another process."""
        for task in list(self._finishing.values()):
            task.cancel()
        await asyncio.gather(*self._finishing.values(), return_exceptions=True)
        for writer in list(self._writers.values()):
            await writer.stop()
        await asyncio.gather(*self._leaving)

    async def _clean(self, upload: Upload) -> None:
        folder = self._folder(upload)
        idle = folder.idle_seconds(upload.id)
        if upload.job is not None:
            if idle > FINISHED_SECONDS:
                folder.remove(upload.id)
            return
        is_object_already = not upload.is_direct and folder.stored_bytes(upload.id) is None
        is_expired = idle > self._settings.uploads.keep_seconds
        if (
            is_object_already
            or (is_expired and self.stored_bytes(upload) == upload.bytes)
            or (is_expired and upload.is_direct)
        ):
            try:
                await self.finish(upload.id)
                return
            except (UploadIncomplete, ObjectExists):
                pass
        if is_expired and upload.id not in self._writers:
            folder.remove(upload.id)
            log.info("upload of %s: removed, it was not continued", upload.savepath)

    def _add(self, upload: Upload) -> None:
        """Blocks."""
        section, folder = self._settings.uploads, self._folder(upload)
        unfinished = sum(each.job is None for each in self._all())
        if unfinished >= section.max_unfinished:
            raise TooManyUploads(
                f"{unfinished} uploads are unfinished, as many as may be; finish or cancel one, or try again later",
                retry_after=BUSY_SECONDS,
            )
        try:
            free = folder.free_bytes()
            if not upload.is_direct and upload.bytes > free:
                raise NoRoom(
                    f"{upload.savepath} has {upload.bytes >> 20} MiB, and the disk has room for"
                    f" {max(0, free) >> 20} MiB more; make room, or send a smaller file"
                )
            folder.add(upload)
        except OSError as refused:
            raise not_written(upload.bucket, refused) from refused

    async def _finish(self, upload: Upload, overwrite: bool) -> Submitted:
        folder, replaces = self._folder(upload), overwrite or upload.overwrite
        if writer := self._writers.pop(upload.id, None):
            await writer.stop()
        if upload.is_direct:
            await self._buckets.check_stored(upload)
        elif (stored := folder.stored_bytes(upload.id)) is not None:
            if stored != upload.bytes:
                raise UploadIncomplete(
                    f"{stored} of {upload.bytes} bytes have arrived; send the rest first",
                    offset=stored,
                    bytes=upload.bytes,
                )
            descriptor, part = folder.open(upload.id), folder.part(upload.id)
            try:
                await self._buckets.store(upload, part, replaces)
                part.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
        [submitted] = await self._submissions.submit(
            upload.bucket, [upload.savepath], Options.model_validate(upload.options), upload.priority, force=replaces
        )
        changed = upload.model_copy(update={"job": submitted.job.id, "outcome": submitted.outcome})
        try:
            await asyncio.to_thread(folder.write, changed)
        except OSError as refused:  # with the old record, it would be submitted again
            log.warning("upload of %s: submitted, and forgotten: %s", upload.savepath, refused)
            await asyncio.to_thread(folder.remove, upload.id)
        return submitted

    def _end(self, id: str, ended: asyncio.Task[Submitted]) -> None:
        self._finishing.pop(id, None)
        if not ended.cancelled():
            ended.exception()  # clients that still wait get it; if none does, it is no bug

    def _all(self) -> list[Upload]:
        return [upload for folder in self._distinct_folders() for upload in folder.all() if self._is_of(folder, upload)]

    def _is_of(self, folder: UploadFolder, upload: Upload) -> bool:
        """Not if the folder of the bucket was renamed since, or the settings no longer name the bucket."""
        return self._buckets.folders.get(upload.bucket) is folder

    def _folder(self, upload: Upload) -> UploadFolder:
        return self._buckets.folders[upload.bucket]

    def _distinct_folders(self) -> Iterator[UploadFolder]:
        return iter(dict.fromkeys(self._buckets.folders.values()))
