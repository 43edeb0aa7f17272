"""What clients cannot do to the service: occupy it, fill it, or make it wait."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tornado.testing import bind_unused_port

from extractor_api.routes import make_app
from reelscribe.http.server import serving
from reelscribe.media import ffmpeg
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.settings.extractor import ServerSection
from tests.extractor_api.conftest import Serve, running_ffmpeg
from tests.reelscribe.media.files import describing_processes
from tests.waiting import eventually

TIMEOUT_SECONDS = 0.5
BODY = b'{"savepath": "short.mp4"}'
JSON = {"Content-Type": "application/json"}
LARGE = {"savepath": "long.mp4", "audio_format": "wav", "sample_rate": 192000, "channels": 2}


@asynccontextmanager
async def listening(client: httpx.AsyncClient) -> AsyncIterator[int]:
    """The client's service on another port, as its command serves it: with time limits for what clients send."""
    socket, port = bind_unused_port()
    socket.close()
    service = client.service  # type: ignore[attr-defined]
    listener = ServerSection(port=port, grace_seconds=1)
    running = asyncio.create_task(serving.serve(service, make_app(service), listener))
    await asyncio.sleep(0.05)
    try:
        yield port
    finally:
        service.stopping.set()
        await running


async def trickle(port: int, head: bytes, rest: bytes) -> None:
    """Send ``head``, then a byte of ``rest`` every 50 ms without end; returns when the connection was dropped."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        writer.write(head)
        for byte in itertools.cycle(rest):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    sending = asyncio.create_task(send())
    try:
        assert await asyncio.wait_for(reader.read(), 60) == b"", "no answer: the request never ended"
    except ConnectionResetError:
        pass
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


@pytest.fixture
def silent_ffmpeg(tmp_path: Path) -> FFmpeg:
    """An ffmpeg that reports its version and then nothing more."""
    script = tmp_path / "ffmpeg"
    script.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "*-version*) echo 'ffmpeg version 8.1.2 Copyright' ;;\n"
        "*-decoders*) echo ' A....D aac  AAC' ;;\n"
        "*) sleep 600 ;;\n"
        "esac\n"
    )
    script.chmod(0o755)
    return ffmpeg.locate(script)


POST = b"POST /extract-audio HTTP/1.1\r\nHost: c\r\n"


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (b"", POST),
        (POST, b"X-Padding: y\r\n"),
        (POST + b"Content-Length: 10000\r\n\r\n", b"{"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
    ],
    ids=["request line", "headers", "body", "chunks"],
)
async def test_a_client_that_sends_byte_by_byte_is_dropped_while_others_are_served(
    extractor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, head: bytes, rest: bytes
) -> None:
    monkeypatch.setattr(serving, "BODY_TIMEOUT_SECONDS", TIMEOUT_SECONDS)
    monkeypatch.setattr(serving, "HEADER_TIMEOUT_SECONDS", TIMEOUT_SECONDS)
    async with listening(extractor) as port:
        slow = [asyncio.create_task(trickle(port, head, rest)) for _ in range(20)]
        response = await extractor.post(f"http://127.0.0.1:{port}/extract-audio", content=BODY, headers=JSON)
        assert response.status_code == 200
        await asyncio.gather(*slow)
        assert not extractor.service.running, "no handler waits for the rest"  # type: ignore[attr-defined]


async def test_500_idle_connections_do_no_harm(extractor: httpx.AsyncClient) -> None:
    async with listening(extractor) as port, AsyncExitStack() as stack:
        connections = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(500)))
        for _, writer in connections:
            stack.callback(writer.close)
        for _, writer in connections[::2]:
            writer.write(b"GET /heal")
        response = await extractor.post(f"http://127.0.0.1:{port}/extract-audio", content=BODY, headers=JSON)
        assert response.status_code == 200
        for _, writer in connections[::2]:
            writer.write(b"thz HTTP/1.1\r\nHost: c\r\n\r\n")
        answers = await asyncio.gather(*(reader.readline() for reader, _ in connections[::2]))
        assert set(answers) == {b"HTTP/1.1 200 OK\r\n"}, "and each can still be used"


async def test_no_more_run_and_wait_than_may_and_the_others_get_503(serve: Serve) -> None:
    extractor = await serve(max_ffmpeg=2, queue_length=4)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, extractor.service.ffmpeg_slots.running)  # type: ignore[attr-defined]
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    body = {"savepath": "short.mp4", "audio_format": "wav"}
    responses = await asyncio.gather(*(extractor.post("/extract-audio", json=body) for _ in range(60)))
    watching.cancel()
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 503} and statuses.count(200) >= 2 + 4
    refused = [response for response in responses if response.status_code == 503]
    assert all(response.json()["error"]["code"] == "busy" and response.headers["Retry-After"] for response in refused)
    health = (await extractor.get("/healthz")).json()
    assert (most, health["ffmpeg_running"], health["ffmpeg_waiting"]) == (2, 0, 0)


async def test_what_the_queue_does_not_hold_is_refused_before_anything_ends(
    serve: Serve, silent_ffmpeg: FFmpeg
) -> None:
    extractor = await serve(ffmpeg=silent_ffmpeg, max_ffmpeg=2, queue_length=4, start_timeout=600)
    requests = [
        asyncio.create_task(extractor.post("/extract-audio", content=BODY, headers=JSON, timeout=60)) for _ in range(60)
    ]
    await eventually(lambda: sum(request.done() for request in requests) == 60 - 2 - 4)
    assert {request.result().status_code for request in requests if request.done()} == {503}
    for request in requests:
        request.cancel()
    await asyncio.gather(*requests, return_exceptions=True)


async def test_clients_that_stall_lose_their_slots_to_those_that_read(serve: Serve) -> None:
    extractor = await serve(max_ffmpeg=2, queue_length=4, stall_timeout=TIMEOUT_SECONDS)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            stalled = await stack.enter_async_context(extractor.stream("POST", "/extract-audio", json=LARGE))
            assert stalled.status_code == 200
        response = await extractor.post("/extract-audio", content=BODY, headers=JSON)
        assert response.status_code == 200
        await eventually(lambda: not running_ffmpeg())  # what had been sent to them counted as read


@pytest.mark.parametrize("delivery", ["stream", "file"])
async def test_an_ffmpeg_without_output_is_504_within_start_timeout(
    serve: Serve, silent_ffmpeg: FFmpeg, delivery: str
) -> None:
    extractor = await serve(ffmpeg=silent_ffmpeg, start_timeout=TIMEOUT_SECONDS)
    response = await extractor.post("/extract-audio", json={"savepath": "short.mp4", "delivery": delivery})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["retryable"]) == (504, "no_audio_in_time", True)
    assert running_ffmpeg() == [], "nor is its child left behind"


async def test_a_probe_is_504_too(serve: Serve) -> None:
    extractor = await serve(start_timeout=0.001)  # no process starts in that time
    response = await extractor.get("/probe", params={"savepath": "short.mp4"})
    assert (response.status_code, response.json()["error"]["code"]) == (504, "no_audio_in_time")
    assert describing_processes() == []


async def test_an_extraction_over_max_duration_is_cut_and_its_receipt_says_so(serve: Serve) -> None:
    extractor = await serve(max_duration=2)
    async with extractor.stream("POST", "/extract-audio", json=LARGE) as response:
        assert response.status_code == 200
        await eventually(lambda: not running_ffmpeg())
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
    receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    assert (receipt["error"]["code"], receipt["error"]["retryable"]) == ("no_audio_in_time", True)
    assert receipt["reason"] == "long.mp4: not done within max_duration = 2 s"
