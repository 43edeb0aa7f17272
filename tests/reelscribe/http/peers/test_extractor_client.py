"""The client of the extractor, against a small peer that answers as each test says."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.errors import PeerUnreachable, RemoteError, ServiceError, StreamCut
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.extractor_client import ExtractorClient

BODY = b"RIFF" + bytes(100_000)
REQUEST = ExtractAudioRequest(savepath="a.mp4", audio_format="wav")


class Peer:
    """What the peer answers, and the requests that it got."""

    def __init__(self) -> None:
        self.headers = {
            "X-Extraction-Id": "x1",
            "X-Object-ETag": "e",
            "X-Declared-Seconds": "3.125",
            "Content-Type": "audio/wav",
        }
        self.refusal: tuple[int, Any] | None = None
        self.cut = False
        self.receipt: Any = {
            "extraction_id": "x1",
            "savepath": "a.mp4",
            "bucket_name": "videos",
            "etag": "e",
            "last_modified": "2026-01-31T09:05:00Z",
            "size": 1000,
            "audio_format": "wav",
            "state": "complete",
            "delivered_seconds": 3.125,
            "bytes": len(BODY),
            "sha256": hashlib.sha256(BODY).hexdigest(),
            "decode_warnings": 0,
        }
        self.receipt_status = 200
        self.request_body: dict[str, Any] = {}
        self.authorization: str | None = None
        self.left = asyncio.Event()


class ExtractHandler(RequestHandler):
    def initialize(self, peer: Peer) -> None:
        self.peer = peer

    def on_connection_close(self) -> None:
        self.peer.left.set()

    async def post(self) -> None:
        self.peer.request_body = json.loads(self.request.body)
        self.peer.authorization = self.request.headers.get("Authorization")
        if self.peer.refusal:
            status, answer = self.peer.refusal
            self.set_status(status)
            self.finish(answer if isinstance(answer, bytes) else json.dumps(answer))
            return
        for name, value in self.peer.headers.items():
            self.set_header(name, value)
        self.write(BODY[:50_000])
        await self.flush()
        if self.peer.cut:
            self.detach().close()
            return
        if self.peer.request_body.get("start"):
            await self.peer.left.wait()
        self.finish(BODY[50_000:])


class ReceiptHandler(RequestHandler):
    def initialize(self, peer: Peer) -> None:
        self.peer = peer

    def get(self, extraction_id: str) -> None:
        assert extraction_id == "x1"
        self.set_status(self.peer.receipt_status)
        self.finish(json.dumps(self.peer.receipt))


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
async def client(peer: Peer) -> AsyncIterator[ExtractorClient]:
    routes = [
        (r"/extract-audio", ExtractHandler, {"peer": peer}),
        (r"/extractions/(.+)", ReceiptHandler, {"peer": peer}),
    ]
    server = HTTPServer(Application(routes, log_function=lambda handler: None))
    listening, port = bind_unused_port()
    server.add_socket(listening)
    async with ExtractorClient(f"http://127.0.0.1:{port}", Tokens(("secret",))) as opened:
        yield opened
    server.stop()
    await server.close_all_connections()


async def received(client: ExtractorClient) -> bytes:
    async with client.extract(REQUEST) as audio:
        return b"".join([chunk async for chunk in audio.chunks()])


async def failure(client: ExtractorClient) -> ServiceError:
    with pytest.raises(ServiceError) as failed:
        await received(client)
    return failed.value


async def test_audio_arrives_complete_and_with_its_receipt(client):
    async with client.extract(REQUEST) as audio:
        body = b"".join([chunk async for chunk in audio.chunks()])
    assert body == BODY
    assert (audio.content_type, audio.etag, audio.declared_seconds) == ("audio/wav", "e", 3.125)
    assert audio.receipt and audio.receipt.state == "complete"


async def test_the_request_says_what_differs_from_the_defaults_and_carries_the_token(client, peer):
    await received(client)
    assert peer.request_body == {"savepath": "a.mp4", "audio_format": "wav"}
    assert peer.authorization == "Bearer secret"


async def test_an_undeclared_length_is_none(client, peer):
    del peer.headers["X-Declared-Seconds"]
    async with client.extract(REQUEST) as audio:
        assert audio.declared_seconds is None


async def test_leaving_the_block_early_closes_the_connection(client, peer):
    async with client.extract(ExtractAudioRequest(savepath="a.mp4", start=1.0)) as audio:
        await audio.chunks().__anext__()
    await asyncio.wait_for(peer.left.wait(), 60)


async def test_leaving_it_early_closes_the_connection_also_if_that_is_cancelled(client, peer):
    async def leave() -> None:
        async with client.extract(ExtractAudioRequest(savepath="a.mp4", start=1.0)):
            asyncio.get_running_loop().call_soon(leaving.cancel)
            raise ValueError

    leaving = asyncio.create_task(leave())
    await asyncio.wait([leaving])
    async with asyncio.timeout(60):
        await peer.left.wait()


async def test_any_number_of_extractions_can_run_at_the_same_time(client, peer):
    async with AsyncExitStack() as stack:
        for _ in range(101):
            extraction = client.extract(ExtractAudioRequest(savepath="a.mp4", start=1.0))
            await asyncio.wait_for(stack.enter_async_context(extraction), 60)


async def test_a_refusal_keeps_status_code_sentence_and_details(client, peer):
    error = {"code": "busy", "message": "all slots are in use", "retryable": True, "retry_after": 7, "request_id": "r"}
    peer.refusal = (503, {"error": error})
    failed = await failure(client)
    assert isinstance(failed, RemoteError) and failed.status == 503
    assert failed.as_json() == error


@pytest.mark.parametrize(
    "answer",
    [b"<html>Bad gateway</html>", [], {"error": "no"}, {"error": {"code": "x"}}, {"error": {"status": 1}}, b"\xff"],
)
async def test_a_refusal_that_is_not_the_extractors_is_reported_as_such(client, peer, answer):
    peer.refusal = (502, answer)
    failed = await failure(client)
    assert (failed.status, failed.code, failed.retryable) == (502, "unexpected_answer", True)
    assert failed.message.startswith("HTTP 502 from the extractor, but no answer of its API")


@pytest.mark.parametrize("header", ["X-Extraction-Id", "X-Object-ETag"])
async def test_a_200_without_the_extractors_headers_is_not_taken_for_audio(client, peer, header):
    del peer.headers[header]
    failed = await failure(client)
    assert (failed.status, failed.code) == (502, "unexpected_answer")


async def test_a_cut_body_is_a_cut_stream(client, peer):
    peer.cut = True
    failed = await failure(client)
    assert isinstance(failed, StreamCut) and failed.retryable
    assert failed.message.startswith("the stream broke off: ")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("incomplete_recording", 422),
        ("not_decodable", 422),
        ("not_readable", 422),
        ("internal_error", 500),
        ("stream_cut", 502),
        ("of_a_newer_extractor", 502),
        ("stopping", 503),
        ("no_audio_in_time", 504),
        ("no_room", 507),
    ],
)
async def test_a_cut_body_whose_receipt_says_why_is_that_failure_with_its_status(client, peer, code, status):
    error = {"code": code, "message": "3 s of 60 s", "retryable": False, "delivered_seconds": 3.0}
    peer.cut, peer.receipt["error"] = True, error
    failed = await failure(client)
    assert failed.as_json() == error and failed.status == status


@pytest.mark.parametrize("wrong", [{"bytes": 5}, {"sha256": "0" * 64}], ids=lambda wrong: str(wrong))
async def test_audio_that_is_not_what_the_receipt_says_is_a_cut_stream(client, peer, wrong):
    peer.receipt |= wrong
    failed = await failure(client)
    assert isinstance(failed, StreamCut)
    assert failed.message.startswith(f"the {len(BODY)} bytes received of a.mp4 are not the ")


async def test_audio_without_its_receipt_is_a_cut_stream_for_the_extractor_has_been_restarted(client, peer):
    peer.receipt_status = 404
    peer.receipt = {"error": {"code": "extraction_not_found", "message": "it is not kept", "retryable": False}}
    failed = await failure(client)
    assert isinstance(failed, StreamCut) and "restarted" in failed.message


async def test_what_is_not_a_receipt_is_reported(client, peer):
    peer.receipt = {"hello": "world"}
    assert (await failure(client)).code == "unexpected_answer"


async def test_an_extractor_that_is_away_is_unreachable_and_its_address_is_named():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    async with ExtractorClient(f"http://127.0.0.1:{port}") as client:
        failed = await failure(client)
    assert isinstance(failed, PeerUnreachable)
    assert failed.message.startswith(f"the extractor at http://127.0.0.1:{port} does not answer")
