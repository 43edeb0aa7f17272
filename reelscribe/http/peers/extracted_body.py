"""The body of an extraction while it arrives, compared with the extractor's receipt when it has ended."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

import httpx

from reelscribe.contracts.clips import ClipReceipt
from reelscribe.contracts.extractor import ExtractionReceipt
from reelscribe.contracts.pictures import SamplesReceipt
from reelscribe.errors import ExtractionNotFound, RemoteError, ServiceError, StreamCut, late_error
from reelscribe.http.peers.requests import as_service_errors, unexpected

EXTRACTOR = "the extractor"

AnyReceipt = TypeVar("AnyReceipt", ExtractionReceipt, SamplesReceipt, ClipReceipt)


class ExtractedBody(Generic[AnyReceipt]):
    """One extraction while it arrives.

    Attributes:
        extraction_id: under which the extractor keeps the receipt.
        content_type: of the body.
        etag: of the object.
        receipt: once :meth:`chunks` has ended.
    """

    def __init__(self, response: httpx.Response, fetch_receipt: Callable[[str], Awaitable[AnyReceipt]]) -> None:
        self._response = response
        self._fetch_receipt: Callable[[str], Awaitable[AnyReceipt]] = fetch_receipt
        try:
            self.extraction_id: str = response.headers["X-Extraction-Id"]
            self.content_type: str = response.headers["Content-Type"]
            self.etag: str = response.headers["X-Object-ETag"]
        except KeyError:
            raise unexpected(EXTRACTOR, response.status_code) from None
        self.receipt: AnyReceipt | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; at its end the receipt is fetched and compared.

        Raises:
            StreamCut: the body ended early, or is not what the receipt says (bytes, SHA-256), or the extractor that
                sent it was restarted since.
            RemoteError: the body ended early, and the receipt says why; its status is the one of that failure.
        """
        digest, received = hashlib.sha256(), 0
        try:
            with as_service_errors("the stream"):
                async for chunk in self._response.aiter_raw():
                    digest.update(chunk)
                    received += len(chunk)
                    yield chunk
        except StreamCut as cut:
            raise await self._cause(cut) from cut
        receipt = await self._receipt_of_the_complete_body()
        if (receipt.bytes, receipt.sha256) != (received, digest.hexdigest()):
            raise StreamCut(
                f"the {received} bytes received of {receipt.savepath} are not the {receipt.bytes} that the extractor "
                "sent (by count or SHA-256); try again"
            )
        self.receipt = receipt

    async def _receipt_of_the_complete_body(self) -> AnyReceipt:
        try:
            return await self._fetch_receipt(self.extraction_id)
        except RemoteError as refused:
            if refused.code != ExtractionNotFound.code:
                raise
            # The newest receipts are always kept, but in memory only.
            message = f"{EXTRACTOR} was restarted before it could confirm that what it sent was complete; try again"
            raise StreamCut(message) from refused

    async def _cause(self, cut: StreamCut) -> ServiceError:
        """Why the body ended early: what the receipt says, if the extractor can still be asked for it."""
        try:
            receipt = await self._fetch_receipt(self.extraction_id)
        except ServiceError:
            return cut
        if receipt.error:
            return late_error(**receipt.error.model_dump())
        return StreamCut(
            f"{cut.message}; the extractor says: {receipt.reason or receipt.state}", **self._numbers(receipt)
        )

    def _numbers(self, receipt: AnyReceipt) -> dict[str, float | None]:
        """What a failure says of an extraction that was cut."""
        return {}
