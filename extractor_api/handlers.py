"""The extractor's handlers: audio while ffmpeg makes it, receipts, probes and listings."""

import logging
import uuid
from typing import get_args

from extractor_api.extraction_handler import ExtractionHandler
from extractor_api.probe import probe
from extractor_api.results import Result, expected_bytes
from extractor_api.service import ExtractorService
from reelscribe.contracts.extractor import (
    AudioFormat,
    ExtractAudioRequest,
    ObjectsQuery,
    ProbeQuery,
    ProbeResult,
)
from reelscribe.errors import BadRequest, UnsupportedFormat
from reelscribe.http.server.service import ServiceHandler
from reelscribe.media.audio import extract_audio
from reelscribe.media.commands import CONTENT_TYPES, Encoding, source_encoding
from reelscribe.media.stored_object import StoredObject

log = logging.getLogger(__name__)


class ExtractAudioHandler(ExtractionHandler):
    """``POST /extract-audio``: stream one savepath's audio while ffmpeg is still decoding it."""

    async def post(self) -> None:
        request = self._read_request()
        await self.within_limits(request.savepath, self._extract(request))

    def _read_request(self) -> ExtractAudioRequest:
        try:
            return self.read_body(ExtractAudioRequest)
        except BadRequest as refused:
            if "audio_format" in refused.details.get("fields", ()):
                allowed = list(get_args(AudioFormat))
                raise UnsupportedFormat(f"audio_format must be one of {', '.join(allowed)}", allowed=allowed) from None
            raise

    async def _extract(self, request: ExtractAudioRequest) -> None:
        extraction_id = uuid.uuid4().hex
        async with (
            self.service.stored_object(request.savepath, request.bucket_name) as stored,
            self.service.ffmpeg_slots.take(),
        ):
            log.info("%s: path resolved: %s (%d bytes)", stored.savepath, stored.origin, stored.size)
            encoding = await self._encoding(stored, request)
            if request.delivery != "stream":
                result = await self._make_result(stored, request, encoding, extraction_id)
                self.set_header("Content-Location", self.service.link(f"/extractions/{extraction_id}/audio"))
                if request.delivery == "file":
                    await self.send_result(result)
                else:
                    self.set_header("X-Extraction-Id", extraction_id)
                    self.finish(self.service.receipts.get(extraction_id).model_dump(mode="json"))
                return
            async with extract_audio(
                self.service.ffmpeg, stored, request, encoding, extraction_id, self.service.limits
            ) as extraction:
                head = await extraction.head(self.service.limits.start_timeout)
                self.do_not_buffer()
                self.set_header("Content-Type", CONTENT_TYPES[encoding])
                self.set_header("X-Extraction-Id", extraction_id)
                self.set_header("X-Object-ETag", stored.etag)
                if extraction.declared_seconds is not None:
                    self.set_header("X-Declared-Seconds", f"{extraction.declared_seconds:.3f}")
                if extraction.begins is not None:
                    self.set_header("X-Begins-Seconds", f"{extraction.begins:.6f}")
                await self.stream(extraction, head)

    async def _encoding(self, stored: StoredObject, request: ExtractAudioRequest) -> Encoding:
        audio_format = request.audio_format or self.service.default_format
        if audio_format != "source":
            return audio_format
        if request.channel is not None:
            raise BadRequest("channel: the default format here is source, the track as stored; name an audio_format")
        return source_encoding(await self._probe(stored), request.track)

    async def _probe(self, stored: StoredObject) -> ProbeResult:
        return await probe(self.service.ffmpeg, stored, self.service.limits.start_timeout)

    async def _make_result(
        self, stored: StoredObject, request: ExtractAudioRequest, encoding: Encoding, extraction_id: str
    ) -> Result:
        ffmpeg, results = self.service.ffmpeg, self.service.results
        wanted = expected_bytes(request, encoding, await self._probe(stored))
        with results.reserve(wanted) as file:
            async with extract_audio(
                ffmpeg, stored, request, encoding, extraction_id, self.service.limits, file.fileno()
            ) as extraction:
                await extraction.finish(self.service.limits.start_timeout)
            result = await results.keep(extraction_id, file, encoding)
        self.record(extraction.receipt().model_copy(update={"bytes": result.size, "sha256": result.sha256}))
        return result


class ProbeHandler(ServiceHandler):
    """``GET /probe?savepath=&bucket_name=``: what a recording holds."""

    service: ExtractorService

    async def get(self) -> None:
        query = self.read_query(ProbeQuery)
        async with (
            self.service.stored_object(query.savepath, query.bucket_name) as stored,
            self.service.ffmpeg_slots.take(),
        ):
            described = await probe(self.service.ffmpeg, stored, self.service.limits.start_timeout)
        self.finish(described.model_dump(mode="json"))


class ObjectsHandler(ServiceHandler):
    """``GET /objects?prefix=&after=&limit=&bucket_name=``: a page of the bucket."""

    service: ExtractorService

    async def get(self) -> None:
        query = self.read_query(ObjectsQuery)
        page = await self.service.list_objects(query)
        self.finish(page.model_dump(mode="json", exclude_none=True) | {"next": page.next})


class ReceiptHandler(ServiceHandler):
    """``GET /extractions/{id}``: what an extraction delivered."""

    service: ExtractorService

    def get(self, extraction_id: str) -> None:
        self.finish(self.service.receipts.get(extraction_id).model_dump(mode="json"))
