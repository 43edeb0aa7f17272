"""A typed client of the extractor: audio while it is extracted, its receipt, and errors as Python exceptions.

async with ExtractorClient("http://extractor:8888") as extractor:
    async with extractor.extract(ExtractAudioRequest(savepath="youtube/abc123.mp4", audio_format="wav")) as audio:
        async for chunk in audio.chunks():
            ...
    print(audio.receipt)
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import httpx
from pydantic import ValidationError

from reelscribe.contracts.extractor import ExtractAudioRequest, ExtractionReceipt, ObjectPage, ObjectsQuery
from reelscribe.contracts.messages import Health, ReceivedModel
from reelscribe.errors import RemoteError, ServiceError, StreamCut
from reelscribe.http.auth import Tokens
from reelscribe.http.peer import as_service_errors, refusal, unexpected
from reelscribe.trust import tls_context

EXTRACTOR = "the extractor"
CONNECT_SECONDS = 5.0
LISTING_SECONDS = 20.0
"""Longest wait for a page of a listing: someone may be waiting at a terminal."""
READ_SECONDS = 90.0
"""Longest silence of the extractor: it answers 504 by itself after its ``start_timeout``."""

Answer = TypeVar("Answer", bound=ReceivedModel)


class ExtractedAudio:
    """One extraction while it arrives.

    Attributes:
        extraction_id: under which the extractor keeps the receipt.
        content_type: of the body.
        declared_seconds: length of the requested part as the container declares it; None if it declares none.
        begins: time in the recording of the first sound in the body, in seconds; None if it was not sent.
        etag: of the object.
        receipt: once :meth:`chunks` has ended.
    """

    def __init__(self, client: "ExtractorClient", response: httpx.Response) -> None:
        self._client = client
        self._response = response
        try:
            self.extraction_id = response.headers["X-Extraction-Id"]
            self.content_type = response.headers["Content-Type"]
            self.etag: str = response.headers["X-Object-ETag"]
            declared = response.headers.get("X-Declared-Seconds")
            self.declared_seconds = float(declared) if declared else None
            begins = response.headers.get("X-Begins-Seconds")
            self.begins = float(begins) if begins else None
        except (KeyError, ValueError):
            raise unexpected(EXTRACTOR, response.status_code) from None
        self.receipt: ExtractionReceipt | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; at its end the receipt is fetched and compared.

        Raises:
            StreamCut: the body ended early, or is not what the receipt says (bytes, SHA-256).
            RemoteError: the body ended early, and the receipt says why.
        """
        digest, received = hashlib.sha256(), 0
        try:
            with as_service_errors("the audio stream"):
                async for chunk in self._response.aiter_raw():
                    digest.update(chunk)
                    received += len(chunk)
                    yield chunk
        except StreamCut as cut:
            raise await self._cause(cut) from cut
        receipt = await self._client.receipt(self.extraction_id)
        if (receipt.bytes, receipt.sha256) != (received, digest.hexdigest()):
            raise StreamCut(
                f"the {received} bytes received of {receipt.savepath} are not the {receipt.bytes} that the extractor "
                "sent (by count or SHA-256); try again"
            )
        self.receipt = receipt

    async def _cause(self, cut: StreamCut) -> ServiceError:
        """Why the body ended early: what the receipt says, if the extractor can still be asked for it."""
        try:
            receipt = await self._client.receipt(self.extraction_id)
        except ServiceError:
            return cut
        if receipt.error:
            return RemoteError(502, **receipt.error.model_dump())
        numbers = {"declared_seconds": receipt.declared_seconds, "delivered_seconds": receipt.delivered_seconds}
        return StreamCut(f"{cut.message}; the extractor says: {receipt.reason or receipt.state}", **numbers)


class ExtractorClient:
    """Talks to one extractor; use it as ``async with``.

    Args:
        url: base URL of the extractor.
        tokens: the first one is sent.
    """

    def __init__(self, url: str, tokens: Tokens | None = None) -> None:
        headers = {"Accept-Encoding": "identity", **(tokens.headers() if tokens else {})}
        limits = httpx.Limits(max_connections=None)  # its user bounds them: an extraction holds one for hours
        self._http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=_timeout(), limits=limits, verify=tls_context()
        )
        self._where = f"{EXTRACTOR} at {self._http.base_url}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def extract(self, request: ExtractAudioRequest) -> AsyncIterator[ExtractedAudio]:
        """``POST /extract-audio``. Leaving the block early closes the connection, which ends ffmpeg.

        Raises:
            RemoteError: the extractor refused, with its own status, code and sentence.
            PeerUnreachable: it did not answer.
        """
        body = request.model_dump(mode="json", exclude_defaults=True)
        with as_service_errors(self._where):
            response = await self._http.send(self._http.build_request("POST", "/extract-audio", json=body), stream=True)
        try:
            if response.status_code != 200:
                with as_service_errors(self._where):
                    await response.aread()
                raise refusal(EXTRACTOR, response)
            yield ExtractedAudio(self, response)
        finally:
            await response.aclose()

    async def health(self) -> dict[str, Any]:
        """``GET /healthz``; of a service that cannot work now too: its ``problems`` say why.

        Raises:
            ServiceError: it does not answer, or what answers is no service of ours.
        """
        with as_service_errors(self._where):
            response = await self._http.get("/healthz")
        try:
            return Health.model_validate_json(response.content).model_dump()
        except ValidationError:
            failed = response.status_code != 200
            raise refusal(EXTRACTOR, response) if failed else unexpected(EXTRACTOR, response.status_code) from None

    async def objects(self, query: ObjectsQuery) -> ObjectPage:
        """``GET /objects``: a page of a bucket."""
        return await self._get(ObjectPage, "/objects", query.model_dump(exclude_none=True), LISTING_SECONDS)

    async def receipt(self, extraction_id: str) -> ExtractionReceipt:
        """``GET /extractions/{id}``."""
        return await self._get(ExtractionReceipt, f"/extractions/{extraction_id}")

    async def _get(
        self, model: type[Answer], path: str, query: Mapping[str, Any] | None = None, timeout: float = READ_SECONDS
    ) -> Answer:
        with as_service_errors(self._where):
            response = await self._http.get(path, params=query, timeout=_timeout(read=timeout))
        if response.status_code != 200:
            raise refusal(EXTRACTOR, response)
        try:
            return model.model_validate_json(response.content)
        except ValidationError:
            raise unexpected(EXTRACTOR, response.status_code) from None


def _timeout(read: float = READ_SECONDS) -> httpx.Timeout:
    return httpx.Timeout(read, connect=CONNECT_SECONDS)
