"""A typed client of the extractor: audio while it is extracted, its receipt, and errors as Python exceptions.

async with ExtractorClient("http://extractor:8888") as extractor:
    async with extractor.extract(ExtractAudioRequest(savepath="youtube/abc123.mp4", audio_format="wav")) as audio:
        async for chunk in audio.chunks():
            ...
    print(audio.receipt)
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import httpx
from pydantic import ValidationError

from reelscribe.contracts.clips import ClipReceipt, ClipRequest, Peaks, PeaksRequest, PreviewRequest
from reelscribe.contracts.extractor import (
    ExtractAudioRequest,
    ExtractionReceipt,
    ObjectPage,
    ObjectQuery,
    ObjectsQuery,
    ProbeQuery,
    ProbeResult,
)
from reelscribe.contracts.messages import Health, ReceivedModel, WireModel
from reelscribe.contracts.pictures import FramesRequest, PairsRequest, SamplesReceipt
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.extracted_body import EXTRACTOR, ExtractedBody
from reelscribe.http.peers.requests import (
    as_service_errors,
    close_answer,
    noticing_lost_peers,
    refusal,
    showing,
    unexpected,
)
from reelscribe.http.request_ids import pass_on
from reelscribe.trust import tls_context

CONNECT_SECONDS = 5.0
LISTING_SECONDS = 20.0
"""Longest wait for a page of a listing: someone may be waiting at a terminal."""
READ_SECONDS = 90.0
"""Longest silence of the extractor: it answers 504 by itself after its ``start_timeout``."""
MAKING_SECONDS = 4 * 3600.0
"""Longest wait for what is answered only when all of a recording is decoded."""

Answer = TypeVar("Answer", bound=ReceivedModel)


class ExtractedAudio(ExtractedBody[ExtractionReceipt]):
    """The audio of one extraction while it arrives.

    Attributes:
        declared_seconds: length of the requested part as the container declares it; None if it declares none.
        begins: time in the recording of the first sound in the body, in seconds; None if it was not sent.
    """

    def __init__(self, client: "ExtractorClient", response: httpx.Response) -> None:
        super().__init__(response, client.receipt)
        try:
            declared = response.headers.get("X-Declared-Seconds")
            self.declared_seconds = float(declared) if declared else None
            begins = response.headers.get("X-Begins-Seconds")
            self.begins = float(begins) if begins else None
        except ValueError:
            raise unexpected(EXTRACTOR, response.status_code) from None

    def _numbers(self, receipt: ExtractionReceipt) -> dict[str, float | None]:
        return {"declared_seconds": receipt.declared_seconds, "delivered_seconds": receipt.delivered_seconds}


SampleTar = ExtractedBody[SamplesReceipt]
"""The tar of one request for pairs or frames while it arrives."""


class ExtractedClip(ExtractedBody[ClipReceipt]):
    """A clip or preview while it arrives.

    Attributes:
        begins: time in the recording of the first picture in the body, in seconds.
    """

    def __init__(self, client: "ExtractorClient", response: httpx.Response) -> None:
        super().__init__(response, client.clip_receipt)
        try:
            self.begins = float(response.headers["X-Begins-Seconds"])
        except (KeyError, ValueError):
            raise unexpected(EXTRACTOR, response.status_code) from None


class SentBytes:
    """Bytes that the extractor has, while they are sent: of an object or of a result, complete or in part.

    Attributes:
        status: 200, 206 or 304.
        headers: of the answer.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.status, self.headers = response.status_code, response.headers
        self._response = response

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives: all of it, or an error.

        Raises:
            StreamCut: it ended early.
        """
        with as_service_errors("the stream"):
            async for chunk in self._response.aiter_raw():
                yield chunk


class ExtractorClient:
    """Talks to one extractor; use it as ``async with``.

    Args:
        url: base URL of the extractor.
        tokens: the one that is the first when a request is sent is sent with it.
    """

    def __init__(self, url: str, tokens: Tokens | None = None) -> None:
        limits = httpx.Limits(max_connections=None)  # its user bounds them: an extraction holds one for hours
        trusted = tls_context(shows_certificate=True)
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Accept-Encoding": "identity"},
            event_hooks={"request": [pass_on, showing(tokens or Tokens())]},
            timeout=_timeout(),
            verify=trusted,
            mounts=noticing_lost_peers(limits, trusted),
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
        async with self._posted("/extract-audio", request) as response:
            yield ExtractedAudio(self, response)

    @asynccontextmanager
    async def pairs(self, request: PairsRequest) -> AsyncIterator[SampleTar]:
        """``POST /extract-pairs``. Leaving the block early closes the connection, which ends the decoding.

        Raises:
            RemoteError, PeerUnreachable: see :meth:`extract`.
        """
        async with self._posted("/extract-pairs", request) as response:
            yield SampleTar(response, self.samples_receipt)

    @asynccontextmanager
    async def frames(self, request: FramesRequest) -> AsyncIterator[SampleTar]:
        """``POST /extract-frames``; as :meth:`pairs`."""
        async with self._posted("/extract-frames", request) as response:
            yield SampleTar(response, self.samples_receipt)

    @asynccontextmanager
    async def clip(self, request: ClipRequest) -> AsyncIterator[ExtractedClip]:
        """``POST /extract-clip``. Leaving the block early closes the connection, which ends the encoding.

        Raises:
            RemoteError, PeerUnreachable: see :meth:`extract`.
        """
        async with self._posted("/extract-clip", request) as response:
            yield ExtractedClip(self, response)

    @asynccontextmanager
    async def preview(self, request: PreviewRequest) -> AsyncIterator[ExtractedClip]:
        """``POST /extract-preview``; as :meth:`clip`."""
        async with self._posted("/extract-preview", request) as response:
            yield ExtractedClip(self, response)

    async def peaks(self, request: PeaksRequest) -> Peaks:
        """``POST /peaks``: the envelope of a waveform.

        Raises:
            RemoteError, PeerUnreachable: see :meth:`extract`.
        """
        async with self._posted("/peaks", request, MAKING_SECONDS) as response:
            with as_service_errors(self._where):
                content = await response.aread()
        try:
            return Peaks.model_validate_json(content)
        except ValidationError:
            raise unexpected(EXTRACTOR, response.status_code) from None

    async def keep(self, request: ExtractAudioRequest) -> ExtractionReceipt:
        """``POST /extract-audio`` with ``delivery = kept``: the audio is then there for :meth:`result`.

        Raises:
            RemoteError, PeerUnreachable: see :meth:`extract`.
        """
        async with self._posted("/extract-audio", request, MAKING_SECONDS) as response:
            with as_service_errors(self._where):
                content = await response.aread()
        try:
            return ExtractionReceipt.model_validate_json(content)
        except ValidationError:
            raise unexpected(EXTRACTOR, response.status_code) from None

    @asynccontextmanager
    async def result(self, extraction_id: str, headers: Mapping[str, str]) -> AsyncIterator[SentBytes]:
        """``GET /extractions/{id}/audio``, with a ``Range`` for example.

        Raises:
            RemoteError, PeerUnreachable: see :meth:`extract`.
        """
        async with self._sent(f"/extractions/{extraction_id}/audio", {}, headers) as sent:
            yield sent

    @asynccontextmanager
    async def stored(self, query: ObjectQuery, headers: Mapping[str, str]) -> AsyncIterator[SentBytes]:
        """``GET /object``, with a ``Range`` for example. Leaving the block early ends the reading.

        Raises:
            RemoteError, PeerUnreachable: see :meth:`extract`.
        """
        async with self._sent("/object", query.model_dump(exclude_none=True), headers) as sent:
            yield sent

    async def etag(self, query: ObjectQuery) -> str:
        """That of the object now, without its quotes.

        Raises:
            RemoteError, PeerUnreachable: see :meth:`extract`.
        """
        async with self.stored(query, {"If-None-Match": "*"}) as sent:
            return str(sent.headers.get("ETag", "")).strip('"')

    async def probe(self, query: ProbeQuery) -> ProbeResult:
        """``GET /probe``: what a recording holds."""
        return await self._get(ProbeResult, "/probe", query.model_dump(exclude_none=True))

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

    async def samples_receipt(self, extraction_id: str) -> SamplesReceipt:
        """``GET /extractions/{id}`` of pairs or frames."""
        return await self._get(SamplesReceipt, f"/extractions/{extraction_id}")

    async def clip_receipt(self, extraction_id: str) -> ClipReceipt:
        """``GET /extractions/{id}`` of a clip, preview or waveform."""
        return await self._get(ClipReceipt, f"/extractions/{extraction_id}")

    @asynccontextmanager
    async def _sent(self, path: str, query: Mapping[str, Any], headers: Mapping[str, str]) -> AsyncIterator[SentBytes]:
        with as_service_errors(self._where):
            request = self._http.build_request("GET", path, params=query, headers=headers)
            response = await self._http.send(request, stream=True)
        try:
            if response.status_code not in (200, 206, 304):
                with as_service_errors(self._where):
                    await response.aread()
                raise refusal(EXTRACTOR, response)
            yield SentBytes(response)
        finally:
            await close_answer(response)

    @asynccontextmanager
    async def _posted(
        self, path: str, request: WireModel, seconds: float = READ_SECONDS
    ) -> AsyncIterator[httpx.Response]:
        body = request.model_dump(mode="json", exclude_defaults=True)
        with as_service_errors(self._where):
            sent = self._http.build_request("POST", path, json=body, timeout=_timeout(read=seconds))
            response = await self._http.send(sent, stream=True)
        try:
            if response.status_code != 200:
                with as_service_errors(self._where):
                    await response.aread()
                raise refusal(EXTRACTOR, response)
            yield response
        finally:
            await close_answer(response)

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
