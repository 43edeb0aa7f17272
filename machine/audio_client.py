"""A typed client of Machine C: audio as it is extracted, its receipt, and errors as Python exceptions.

async with AudioClient("http://machine-c:8888") as machine_c:
    async with machine_c.extract(ExtractAudioRequest(savepath="youtube/abc123.mp4", audio_format="wav")) as audio:
        async for chunk in audio.chunks():
            ...
    print(audio.receipt)
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType

import httpx
from pydantic import ValidationError

from machine.auth import Tokens
from machine.errors import MachineError, PeerUnreachable, RemoteError, StreamCut
from machine.wire import ExtractAudioRequest, ExtractionReceipt

CONNECT_SECONDS = 5.0
READ_SECONDS = 90.0
"""Longest silence of Machine C: it answers 504 by itself after its ``start_timeout``."""


class Audio:
    """One extraction while it arrives.

    Attributes:
        extraction_id: under which Machine C keeps the receipt.
        content_type: of the body.
        declared_seconds: length of the requested part by the container; None where it declares none.
        receipt: once :meth:`chunks` has ended.
    """

    def __init__(self, client: "AudioClient", response: httpx.Response) -> None:
        self._client = client
        self._response = response
        self.extraction_id = response.headers["X-Extraction-Id"]
        self.content_type = response.headers["Content-Type"]
        declared = response.headers.get("X-Declared-Seconds")
        self.declared_seconds = float(declared) if declared else None
        self.receipt: ExtractionReceipt | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; at its end the receipt is fetched and compared.

        Raises:
            StreamCut: the body ended early, or is not what the receipt says (bytes, SHA-256).
        """
        digest, received = hashlib.sha256(), 0
        with _as_machine_errors("the audio stream"):
            async for chunk in self._response.aiter_raw():
                digest.update(chunk)
                received += len(chunk)
                yield chunk
        receipt = await self._client.receipt(self.extraction_id)
        if (receipt.bytes, receipt.sha256) != (received, digest.hexdigest()):
            raise StreamCut(
                f"received {received} bytes of {receipt.savepath}, Machine C sent {receipt.bytes}; try again",
            )
        self.receipt = receipt


class AudioClient:
    """Talks to one Machine C; use it as ``async with``.

    Args:
        url: base URL of Machine C.
        tokens: the first one is sent.
    """

    def __init__(self, url: str, tokens: Tokens | None = None) -> None:
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        headers = {"Accept-Encoding": "identity", **(tokens.headers() if tokens else {})}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout)

    async def __aenter__(self) -> "AudioClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def extract(self, request: ExtractAudioRequest) -> AsyncIterator[Audio]:
        """``POST /extract-audio``. Leaving the block early closes the connection, which ends ffmpeg.

        Raises:
            RemoteError: Machine C refused, with its own status, code and sentence.
            PeerUnreachable: it did not answer.
        """
        body = request.model_dump(mode="json", exclude_defaults=True)
        with _as_machine_errors(f"Machine C at {self._http.base_url}"):
            response = await self._http.send(self._http.build_request("POST", "/extract-audio", json=body), stream=True)
        try:
            if response.status_code != 200:
                raise _refusal(response.status_code, await response.aread())
            yield Audio(self, response)
        finally:
            await response.aclose()

    async def receipt(self, extraction_id: str) -> ExtractionReceipt:
        """``GET /extractions/{id}``."""
        with _as_machine_errors(f"Machine C at {self._http.base_url}"):
            response = await self._http.get(f"/extractions/{extraction_id}")
        if response.status_code != 200:
            raise _refusal(response.status_code, response.content)
        return ExtractionReceipt.model_validate_json(response.content)


@contextmanager
def _as_machine_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as unreachable:
        raise PeerUnreachable(f"{what} does not answer: {unreachable or type(unreachable).__name__}") from unreachable
    except httpx.HTTPError as cut:
        raise StreamCut(f"{what} broke off: {cut or type(cut).__name__}") from cut


def _refusal(status: int, body: bytes) -> MachineError:
    try:
        error = json.loads(body)["error"]
        code, message, retryable = error.pop("code"), error.pop("message"), error.pop("retryable")
    except (ValueError, KeyError, TypeError, ValidationError):
        return RemoteError(status, "unexpected_answer", f"HTTP {status} from Machine C", retryable=status >= 500)
    return RemoteError(status, code, message, retryable, **error)
