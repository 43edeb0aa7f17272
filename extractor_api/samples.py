"""Handlers of pairs and frames: a tar of samples while they are decoded."""

import logging
import uuid

from extractor_api.extraction_handler import ExtractionHandler
from reelscribe.contracts.pictures import FramesRequest, PairsRequest
from reelscribe.media.pictures.moments import SamplesRequest
from reelscribe.media.pictures.samples import extract_samples
from reelscribe.media.pictures.tar import TAR

log = logging.getLogger(__name__)

SHORT_SECONDS = 60
FEW_MOMENTS = 100


class SamplesHandler(ExtractionHandler):
    """Streams the tar of one request."""

    max_body_bytes = 512 << 10

    async def post(self) -> None:
        request = self.read_body(self.asked)
        await self.within_limits(request.savepath, self._extract(request))

    asked: type[FramesRequest] | type[PairsRequest]

    async def _extract(self, request: SamplesRequest) -> None:
        extraction_id = uuid.uuid4().hex
        async with self.service.stored_object(request.savepath, request.bucket_name) as stored:
            with self.service.decoder_slots.claim(interactive=_is_short(request)) as claim:
                await claim.wait(interactive=_is_short(request))
                log.info("%s: path resolved: %s (%d bytes)", stored.savepath, stored.origin, stored.size)
                async with extract_samples(
                    self.service.ffmpeg, stored, request, extraction_id, self.service.limits
                ) as extraction:
                    head = await extraction.head(self.service.limits.start_timeout)
                    self.do_not_buffer()
                    self.set_header("Content-Type", TAR)
                    self.set_header("X-Extraction-Id", extraction_id)
                    self.set_header("X-Object-ETag", stored.etag)
                    await self.stream(extraction, head)


class ExtractPairsHandler(SamplesHandler):
    """``POST /extract-pairs``: pictures with the sound around them."""

    asked = PairsRequest


class ExtractFramesHandler(SamplesHandler):
    """``POST /extract-frames``: pictures."""

    asked = FramesRequest


def _is_short(request: SamplesRequest) -> bool:
    """Whether it takes little time, whatever the length of the recording; a slot is kept for such requests."""
    if request.timestamps is not None:
        return len(request.timestamps) <= FEW_MOMENTS
    return request.duration is not None and request.duration <= SHORT_SECONDS
