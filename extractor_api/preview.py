"""``POST /extract-preview``: some moments of a video as a small file that moves."""

import asyncio
import hashlib
import logging
import os
import uuid
from contextlib import ExitStack

from extractor_api.extraction_handler import ExtractionHandler
from reelscribe.contracts.clips import PreviewFormat, PreviewRequest
from reelscribe.media.clips.preview import PreviewExtraction

log = logging.getLogger(__name__)

PREVIEW_TYPES: dict[PreviewFormat, str] = {"gif": "image/gif", "webp": "image/webp", "mp4": "video/mp4"}
READ_BYTES = 1 << 18


class ExtractPreviewHandler(ExtractionHandler):
    """``POST /extract-preview``."""

    async def post(self) -> None:
        request = self.read_body(PreviewRequest)
        await self.within_limits(request.savepath, self._extract(request))

    async def _extract(self, request: PreviewRequest) -> None:
        extraction_id, service = uuid.uuid4().hex, self.service
        async with service.stored_object(request.savepath, request.bucket_name) as stored:
            with service.decoder_slots.claim(interactive=True) as claim, ExitStack() as files:
                await claim.wait(interactive=True)
                log.info("%s: path resolved: %s (%d bytes)", stored.savepath, stored.origin, stored.size)
                extraction = PreviewExtraction(
                    service.ffmpeg,
                    stored,
                    request,
                    extraction_id,
                    service.limits,
                    lambda wanted: files.enter_context(service.results.reserve(wanted, "ask for a smaller preview")),
                )
                preview = await extraction.make()
                content = await asyncio.to_thread(os.pread, preview.file.fileno(), preview.bytes, 0)
            receipt = extraction.receipt(hashlib.sha256(content).hexdigest())
            self.record(receipt)
            self.set_header("Content-Type", PREVIEW_TYPES[request.format])
            self.set_header("Content-Length", str(len(content)))
            self.set_header("X-Extraction-Id", extraction_id)
            self.set_header("X-Object-ETag", stored.etag)
            self.set_header("X-Begins-Seconds", f"{receipt.begins:.6f}")
            for offset in range(0, len(content), READ_BYTES):
                await self.write_out(content[offset : offset + READ_BYTES])
