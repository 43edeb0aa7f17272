"""Machine C's routes: audio as ffmpeg makes it, and receipts."""

import asyncio
import logging
import uuid

from extractor_api.commands import CONTENT_TYPES
from extractor_api.extraction import Extraction
from extractor_api.probe import probe
from extractor_api.service import ExtractorMachine
from machine.errors import BadRequest, NoAudioInTime, Stopping, UnsupportedFormat
from machine.server import MachineHandler
from machine.wire import ExtractAudioRequest, ObjectsQuery, ProbeQuery

log = logging.getLogger(__name__)


class ExtractAudioHandler(MachineHandler):
    """``POST /extract-audio``: stream one savepath's audio while ffmpeg is still decoding it."""

    machine: ExtractorMachine

    def initialize(self, machine: ExtractorMachine) -> None:  # type: ignore[override]
        super().initialize(machine)
        self._work: asyncio.Task[None] | None = None

    async def post(self) -> None:
        request = self._read_request()
        self._work = asyncio.create_task(self._extract(request))
        try:
            await asyncio.wait_for(self._work, self.machine.limits.max_duration)
        except asyncio.TimeoutError:
            raise NoAudioInTime(
                f"{request.savepath}: not done within max_duration = {self.machine.limits.max_duration:g} s"
            ) from None
        except asyncio.CancelledError:
            log.warning("%s: the client left, or this server stops; ffmpeg ended", request.savepath)
            raise Stopping("the extraction was ended") from None

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._work:
            self._work.cancel()

    def _read_request(self) -> ExtractAudioRequest:
        try:
            return self.read_body(ExtractAudioRequest)
        except BadRequest as refused:
            if "audio_format" in refused.details.get("fields", ()):
                allowed = list(CONTENT_TYPES)
                raise UnsupportedFormat(f"audio_format must be one of {', '.join(allowed)}", allowed=allowed) from None
            raise

    async def _extract(self, request: ExtractAudioRequest) -> None:
        audio_format = request.audio_format or self.machine.default_format
        extraction_id = uuid.uuid4().hex
        async with (
            self.machine.stored_object(request.savepath, request.bucket_name) as stored,
            self.machine.slots.take(),
        ):
            log.info("%s: path resolved: %s (%d bytes)", stored.savepath, stored.path, stored.size)
            async with Extraction(self.machine.ffmpeg, stored, request, audio_format, extraction_id) as extraction:
                head = await extraction.head(self.machine.limits.start_timeout)
                self.set_header("Content-Type", CONTENT_TYPES[audio_format])
                self.set_header("X-Extraction-Id", extraction_id)
                if extraction.declared_seconds is not None:
                    self.set_header("X-Declared-Seconds", f"{extraction.declared_seconds:.3f}")
                await self._send(extraction, head)

    async def _send(self, extraction: Extraction, head: bytes) -> None:
        failure: str | None = "the client left"
        started = self.request.request_time()
        try:
            await self._write(head)
            async for chunk in extraction.chunks():
                await self._write(chunk)
            failure = None
        except Exception as cause:
            failure = str(cause) or "the client left"
            raise
        finally:
            receipt = extraction.receipt(failure)
            self.machine.receipts.put(receipt)
            self.machine.count(receipt)
            log.info(
                "%s: ffmpeg finished (%s): %d bytes sent, %.1f s of audio in %.1f s",
                receipt.savepath, receipt.state, receipt.bytes, receipt.delivered_seconds,
                self.request.request_time() - started,
            )  # fmt: skip

    async def _write(self, chunk: bytes) -> None:
        self.write(chunk)
        try:
            await asyncio.wait_for(self.flush(), self.machine.limits.stall_timeout)
        except asyncio.TimeoutError:
            raise NoAudioInTime(f"the client read nothing for {self.machine.limits.stall_timeout:g} s") from None


class ProbeHandler(MachineHandler):
    """``GET /probe?savepath=&bucket_name=``: what a recording holds."""

    machine: ExtractorMachine

    async def get(self) -> None:
        query = self.read_query(ProbeQuery)
        async with self.machine.stored_object(query.savepath, query.bucket_name) as stored, self.machine.slots.take():
            described = await probe(self.machine.ffmpeg, stored, self.machine.limits.start_timeout)
        self.finish(described.model_dump(mode="json"))


class ObjectsHandler(MachineHandler):
    """``GET /objects?prefix=&after=&limit=&bucket_name=``: a page of the bucket."""

    machine: ExtractorMachine

    async def get(self) -> None:
        query = self.read_query(ObjectsQuery)
        page = await self.machine.list_objects(query)
        self.finish(page.model_dump(mode="json", exclude_none=True) | {"next": page.next})


class ReceiptHandler(MachineHandler):
    """``GET /extractions/{id}``: what an extraction delivered."""

    machine: ExtractorMachine

    def get(self, extraction_id: str) -> None:
        self.finish(self.machine.receipts.get(extraction_id).model_dump(mode="json"))
