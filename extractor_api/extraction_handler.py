"""What the routes that stream an extraction share: its time limit, its end, and its receipt."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, Protocol

from tornado.iostream import StreamClosedError

from extractor_api.file_delivery import ResultSender
from extractor_api.receipts import AnExtractionReceipt
from extractor_api.service import ExtractorService
from reelscribe.contracts.extractor import ExtractionReceipt
from reelscribe.errors import NoAudioInTime, ServiceError, Stopping

log = logging.getLogger(__name__)


class Extraction(Protocol):
    """Something that is delivered while it is made."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """What follows the head."""

    def receipt(self, failure: ServiceError | None = None) -> AnExtractionReceipt:
        """What was delivered; ``failure`` says why it was cut."""


class ExtractionHandler(ResultSender):
    """One extraction for one client; when the client leaves, or time is up, it is ended."""

    service: ExtractorService

    def initialize(self, service: ExtractorService) -> None:  # type: ignore[override]
        super().initialize(service)
        self._work: asyncio.Task[None] | None = None
        self._time_limit = asyncio.timeout(service.limits.max_duration)

    async def within_limits(self, savepath: str, extracting: Coroutine[Any, Any, None]) -> None:
        """Carry out ``extracting``.

        Raises:
            NoAudioInTime: it took longer than ``max_duration``.
            Stopping: the client left, or the extractor stops.
        """
        self._work = asyncio.create_task(extracting)
        try:
            async with self._time_limit:
                await self._work
        except TimeoutError:
            raise self._took_too_long(savepath) from None
        except asyncio.CancelledError:
            log.warning("%s: the client left, or the extractor is stopping; ffmpeg was ended", savepath)
            raise Stopping("the extraction was ended") from None

    def _took_too_long(self, savepath: str) -> NoAudioInTime:
        return NoAudioInTime(f"{savepath}: not done within max_duration = {self.service.limits.max_duration:g} s")

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._work:
            self._work.cancel()

    async def stream(self, extraction: Extraction, head: bytes) -> None:
        """Send what is extracted, and record its receipt, however it ends."""
        failure: ServiceError | None = None
        try:
            await self.write_out(head)
            async with aclosing(extraction.chunks()) as chunks:
                async for chunk in chunks:
                    await self.write_out(chunk)
        except ServiceError as cause:
            failure = cause
            raise
        except (StreamClosedError, asyncio.CancelledError):
            failure = Stopping("the client left, or the extractor was stopping")
            if self._time_limit.expired():
                failure = self._took_too_long(extraction.receipt().savepath)
            raise
        except Exception:
            failure = self.internal_error()
            raise
        finally:
            self.record(extraction.receipt(failure))

    def record(self, receipt: AnExtractionReceipt) -> None:
        """Keep the receipt of an ended extraction, and log it."""
        self.service.record(receipt)
        what = "bytes sent"
        if isinstance(receipt, ExtractionReceipt):
            what += f", {receipt.delivered_seconds:.1f} s of audio"
        log.info(
            "%s: ffmpeg finished (%s): %d %s in %.1f s",
            receipt.savepath, receipt.state, receipt.bytes, what, self.request.request_time(),
        )  # fmt: skip
