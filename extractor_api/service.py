"""What the extractor's handlers share: the bucket, ffmpeg, its slots, the receipts and the counters."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Gauge

from extractor_api.listing import list_objects
from extractor_api.minio.unreadable import NotReadableHere
from extractor_api.receipts import AnExtractionReceipt, Receipts
from extractor_api.results import Results
from extractor_api.storage import BucketClosed, LocalStorage
from reelscribe.contracts.diagnosis import Finding
from reelscribe.contracts.extractor import AudioFormat, ExtractionReceipt, ObjectPage, ObjectsQuery
from reelscribe.contracts.pictures import SamplesReceipt
from reelscribe.errors import BucketUnavailable
from reelscribe.http.access.allowed_hosts import AllowedHosts
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.server.service import Service
from reelscribe.media import diagnosis
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.stored_object import StoredObject
from reelscribe.settings.loading import Settings
from reelscribe.settings.shared import MinioSection
from reelscribe.slots import Slots

if TYPE_CHECKING:
    from extractor_api.minio.s3_client import S3Client

log = logging.getLogger(__name__)

UNIT = "reelscribe-extractor"

STORAGE_SECONDS = 2.0
"""Longest that ``/healthz`` waits for the drive."""


def s3_client(section: MinioSection) -> "S3Client | None":
    """The client of MinIO, if there is an endpoint; the library is loaded for it only, which takes 8 MB.

    Raises:
        SettingsError: the secret key cannot be read.
    """
    if not section.endpoint:
        return None
    from extractor_api.minio.s3_client import S3Client

    return S3Client(section)


class ExtractorService(Service):
    """The extractor.

    Args:
        settings: of config.cfg.
        ffmpeg: the binary to run.
        tokens: who may call.
    """

    degraded_status = 503
    remedy = "mount the disk, or let the user of the service read it; on its host, extractor-api check says more"

    def __init__(self, settings: Settings, ffmpeg: FFmpeg, tokens: Tokens) -> None:
        super().__init__("extractor-api", tokens, AllowedHosts.of("server", settings.server))
        self.ffmpeg = ffmpeg
        self.limits = settings.extraction
        self.default_format: AudioFormat = settings.paths.default_audio_format
        self.ffmpeg_slots = Slots(settings.extraction.max_ffmpeg, settings.extraction.queue_length)
        self.decoder_slots = Slots(settings.extraction.max_decoders, settings.extraction.queue_length, 1)
        self.download_slots = Slots(settings.extraction.max_downloads, settings.extraction.queue_length)
        self.receipts = Receipts()
        self.results = Results(settings.paths.temp_dir, settings.extraction.result_ttl)
        self.storage = LocalStorage(settings.paths)
        self._s3 = s3_client(settings.minio)
        paths = settings.paths
        self.folders = {"[paths] temp_dir": paths.temp_dir, "[paths] minio_data_path": paths.minio_data_path}
        self._looking: asyncio.Future[list[str]] | None = None
        self._bytes = Counter("reelscribe_extracted_bytes", "Bytes of sound and pictures sent", registry=self.registry)
        self._seconds = Counter("reelscribe_extracted_seconds", "Seconds of audio sent", registry=self.registry)
        self._samples = Counter("reelscribe_extracted_samples", "Pairs and frames sent", registry=self.registry)
        self._extractions = Counter(
            "reelscribe_extractions", "Extractions by outcome", ["state"], registry=self.registry
        )
        for name, value in (
            ("running", lambda: self.ffmpeg_slots.running),
            ("waiting", lambda: self.ffmpeg_slots.waiting),
        ):
            gauge = Gauge(f"reelscribe_ffmpeg_{name}", f"ffmpeg runs {name}", registry=self.registry)
            gauge.set_function(value)
        decoding = Gauge("reelscribe_decoders_running", "Requests for pictures running", registry=self.registry)
        decoding.set_function(lambda: self.decoder_slots.running)
        downloads = Gauge("reelscribe_downloads_running", "Stored objects being sent", registry=self.registry)
        downloads.set_function(lambda: self.download_slots.running)

    @asynccontextmanager
    async def stored_object(self, savepath: str, bucket_name: str | None) -> AsyncIterator[StoredObject]:
        """An object, read from the drive, or through the MinIO of ``[minio]`` if only MinIO can read it."""
        async with AsyncExitStack() as stack:
            opened = ExitStack()
            # Off the event loop: storage may be slow.
            opening = asyncio.create_task(
                asyncio.to_thread(opened.enter_context, self.storage.open(savepath, bucket_name))
            )
            try:
                stored = await asyncio.shield(opening)
                stack.callback(opened.close)
            except asyncio.CancelledError:
                opening.add_done_callback(lambda _: opened.close())
                opening.add_done_callback(asyncio.Task.exception)  # no one waits for it
                raise
            except NotReadableHere:
                if not self._s3:
                    await asyncio.to_thread(self.storage.require, bucket_name)
                    raise
                from extractor_api.minio.s3_object import open_s3_object

                fetching = open_s3_object(self._s3, self.storage.bucket(bucket_name), savepath)
                stored = await stack.enter_async_context(fetching)
            yield stored

    async def list_objects(self, query: ObjectsQuery) -> ObjectPage:
        """A page of a bucket, read off the event loop."""
        return await asyncio.to_thread(
            list_objects, self.storage, query.bucket_name, query.prefix, query.after, query.limit
        )

    def log_start(self) -> None:
        """Log which ffmpeg and which bucket this service uses."""
        log.info("extractor-api: ffmpeg %s at %s; bucket %s", self.ffmpeg.version, self.ffmpeg.path, self.storage)
        if self._s3:
            log.info("extractor-api: what cannot be read there is read through %s", self._s3)
        for warning in (*self.ffmpeg.warnings, *self._bucket_problems(for_objects=True)):
            log.warning("extractor-api: %s", warning)

    def record(self, receipt: AnExtractionReceipt) -> None:
        """Keep the receipt of an ended extraction, and count it."""
        self.receipts.put(receipt)
        self._bytes.inc(receipt.bytes)
        if isinstance(receipt, ExtractionReceipt):
            self._seconds.inc(max(0.0, receipt.delivered_seconds))
        elif isinstance(receipt, SamplesReceipt):
            self._samples.inc(receipt.samples)
        self._extractions.labels(receipt.state).inc()

    async def problems(self) -> list[str]:
        if self._looking is None or self._looking.done():  # on a drive that hangs, one thread is enough
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._bucket_problems))
        looking = self._looking  # a later request may replace it
        answered, _ = await asyncio.wait([looking], timeout=STORAGE_SECONDS)
        if not answered:
            return [f"the drive of the buckets did not answer within {STORAGE_SECONDS:g} s"]
        return looking.result()

    def _bucket_problems(self, for_objects: bool = False) -> list[str]:
        """What is wrong with the buckets; with ``for_objects`` that one is empty too, which a new one is at first."""
        return [problem for bucket in self.storage.buckets if (problem := self._bucket_problem(bucket, for_objects))]

    def _bucket_problem(self, bucket: str, for_objects: bool) -> str | None:
        try:
            self.storage.require(bucket, to_list=True, for_object=for_objects)
        except BucketUnavailable as unavailable:
            # MinIO reads what is closed to this account.
            return None if self._s3 and isinstance(unavailable, BucketClosed) else unavailable.message
        return None

    async def diagnose(self) -> list[Finding]:
        found = await asyncio.to_thread(diagnosis.diagnose, self.ffmpeg, UNIT, encodes=True)
        return [*found, self._load]

    @property
    def _load(self) -> Finding:
        slots = self.ffmpeg_slots
        message = f"{slots.running} of {slots.size} ffmpeg processes run, {slots.waiting} requests wait"
        if slots.waiting <= slots.size:
            return Finding.ok("load", message)
        return Finding.warning("load", message, "if that is so for long, raise [extraction] max_ffmpeg, or add cores")

    def health(self) -> dict[str, Any]:
        return {
            **super().health(),
            "warnings": self.ffmpeg.public_warnings,
            "sandbox": self.ffmpeg.sandbox.state,
            "ffmpeg_running": self.ffmpeg_slots.running,
            "ffmpeg_waiting": self.ffmpeg_slots.waiting,
            "ffmpeg_places": self.ffmpeg_slots.size,
        }
