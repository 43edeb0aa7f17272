"""How many requests run and wait at the same time, in which order, and what happens when a client leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from reelscribe.contracts.events import Event, Failed, Progress
from reelscribe.contracts.transcriber import TranscribeFields, TranscribeRequest
from reelscribe.settings.transcriber import TranscriberSection
from tests.reelscribe.http.server.test_connections import HalfClosed
from tests.transcriber.conftest import Serve, Transcriber, text, truth
from tests.transcriber.peer import SPEECH, Script
from tests.waiting import eventually
from transcriber import service
from transcriber.api import recording_handler
from transcriber.api.schemas import TranscriptionForm, TranslationForm
from transcriber.jobs import transcription

SHORT = {"file": ("short.flac", (SPEECH / "short.flac").read_bytes())}
STORED = {"savepath": "short.flac"}
URGENT = {"savepath": "short.flac", "priority": "interactive"}
JSON = {"Accept": "application/json"}


async def until(transcriber: Transcriber, **expected: object) -> None:
    """Wait for these values of ``/healthz``."""

    async def as_expected() -> bool:
        return expected.items() <= (await transcriber.http.get("/healthz")).json().items()

    await eventually(as_expected)


@asynccontextmanager
async def left_behind(transcriber: Transcriber, **arguments: Any) -> AsyncIterator["asyncio.Task[Any]"]:
    """A request whose client leaves at the end of the block, if it did not before."""
    request = asyncio.create_task(transcriber.http.post("/transcribe", **arguments))
    try:
        yield request
    finally:
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)


DECLARED_JSON = "Content-Type: application/json\r\n"


@pytest.fixture
async def full(serve: Serve, script: Script) -> AsyncIterator[Transcriber]:
    """A transcriber with one slot and one for interactive requests, both taken, and room for two to wait."""
    transcriber = await serve(max_jobs=1, queue_length=2)
    script.hold = asyncio.Event()
    async with left_behind(transcriber, json=STORED), left_behind(transcriber, json=URGENT):
        await until(transcriber, free=0, waiting=0)
        while len(script.requests) < 2:
            await asyncio.sleep(0.02)
        yield transcriber
        script.hold.set()


async def test_a_request_without_a_slot_waits_and_is_then_processed(full: Transcriber, script: Script) -> None:
    waiting = asyncio.create_task(full.events("short.flac"))
    await until(full, free=0, waiting=1)
    assert script.hold
    script.hold.set()
    assert text(await waiting) == truth("short.flac")["text"]
    await until(full, free=1, waiting=0)


async def test_a_client_that_waits_gets_an_event_every_few_seconds(
    full: Transcriber, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "HEARTBEAT_SECONDS", 0.1)
    events: list[Event] = []
    async for event in full.stream("short.flac", start=2.0):
        events.append(event)
        if len(events) == 3 and script.hold:
            script.hold.set()
    assert events[:3] == [Progress(seconds=2.0)] * 3
    assert events[-1].event == "finished"


async def test_a_client_that_waits_is_handed_back_at_the_stop(
    full: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "HEARTBEAT_SECONDS", 0.1)
    events: list[Event] = []
    async for event in full.stream("short.flac", start=2.0):
        events.append(event)
        if len(events) == 1:
            await full.service.stop()
    end = events[-1]
    assert isinstance(end, Failed) and (end.code, end.retryable, end.details) == ("stopping", True, {"resume": 2.0})


async def test_beyond_the_queue_it_is_503_with_retry_after(full: Transcriber, script: Script) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(left_behind(full, json={"savepath": "short.flac"}))
        await until(full, waiting=2)
        for request in ({"json": {"savepath": "short.flac"}}, {"files": SHORT}):
            refused = await full.http.post("/transcribe", **request)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
            assert int(refused.headers["Retry-After"]) > 0
        openai = await full.http.post("/v1/audio/transcriptions", files=SHORT, data={"model": "mini"})
        assert (openai.status_code, openai.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("arguments", [{"json": URGENT}, {"files": SHORT}], ids=["priority = interactive", "upload"])
async def test_an_interactive_request_does_not_wait_for_recordings_of_the_bucket(
    serve: Serve, script: Script, arguments: dict[str, Any]
) -> None:
    transcriber = await serve(max_jobs=4)
    script.hold = asyncio.Event()
    async with AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(left_behind(transcriber, json=STORED))
        await until(transcriber, free=0, waiting=1)
        while len(script.requests) < 4:
            await asyncio.sleep(0.02)
        script.hold, hold = None, script.hold
        answer = await transcriber.http.post("/transcribe", headers=JSON, **arguments)
        assert [segment["text"] for segment in answer.json()["segments"]]
        await until(transcriber, free=0, waiting=1)
        hold.set()  # type: ignore[attr-defined]


async def test_interactive_requests_leave_the_slots_of_others_free(serve: Serve, script: Script) -> None:
    transcriber = await serve(max_jobs=8)
    script.hold = asyncio.Event()
    async with left_behind(transcriber, json=URGENT), left_behind(transcriber, json=URGENT):
        while len(script.requests) < 2:
            await asyncio.sleep(0.02)
        await until(transcriber, capacity=8, free=8, waiting=0)
        async with left_behind(transcriber, json=URGENT):
            await until(transcriber, free=7)
        script.hold.set()


async def test_an_upload_may_have_the_priority_batch(serve: Serve, script: Script) -> None:
    transcriber = await serve(max_jobs=1)
    script.hold = asyncio.Event()
    async with left_behind(transcriber, json=STORED):
        await until(transcriber, free=0, waiting=0)
        async with left_behind(transcriber, files=SHORT, data={"priority": "batch"}, headers=JSON) as waiting:
            await until(transcriber, waiting=1)
            await asyncio.sleep(0.3)
            assert not waiting.done()
            script.hold.set()
            assert (await waiting).status_code == 200


async def test_first_come_is_first_served(serve: Serve, script: Script) -> None:
    transcriber = await serve(max_jobs=1)
    script.hold = asyncio.Event()
    requests = []
    for number in range(4):
        start = 1.0 + number
        requests.append(asyncio.create_task(transcriber.events("short.flac", start=start)))
        await until(transcriber, free=0, waiting=number)
    script.hold.set()
    await asyncio.gather(*requests)
    assert [request.start for request in script.requests] == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("arguments", [{"json": {"savepath": "short.flac"}}, {"files": SHORT}], ids=["json", "upload"])
@pytest.mark.parametrize("headers", [{}, JSON], ids=["events", "document"])
async def test_a_client_that_leaves_while_it_waits_makes_room_in_the_queue(
    full: Transcriber, script: Script, arguments: dict[str, Any], headers: dict[str, str]
) -> None:
    async with left_behind(full, headers=headers, **arguments) as waiting:
        await until(full, waiting=1)
        waiting.cancel()
        await until(full, waiting=0)
    assert len(script.requests) == 2, "nothing was extracted for it"


async def test_an_upload_counts_as_waiting_while_it_arrives(serve: Serve, script: Script) -> None:
    transcriber = await serve(max_jobs=1, queue_length=0)
    script.hold = asyncio.Event()
    resume = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        await resume.wait()
        yield SHORT["file"][1] + b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b", **JSON}
    async with left_behind(transcriber, json=STORED):
        await until(transcriber, free=0, waiting=0)
        uploading = asyncio.create_task(transcriber.http.post("/transcribe", content=body(), headers=headers))
        await until(transcriber, free=0, waiting=1)
        assert (await transcriber.http.post("/transcribe", json=URGENT)).status_code == 503
        resume.set()
        assert (await uploading).status_code == 200
    await until(transcriber, free=1, waiting=0)


async def test_a_client_that_leaves_during_its_upload_makes_room_in_the_queue(serve: Serve) -> None:
    transcriber = await serve(max_jobs=1, queue_length=0)

    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        await asyncio.sleep(60)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    uploading = asyncio.create_task(transcriber.http.post("/transcribe", content=body(), headers=headers))
    await until(transcriber, waiting=1)
    uploading.cancel()
    await until(transcriber, waiting=0)


@pytest.mark.parametrize("more", [b"\r\n", b"GET /healthz HTTP/1.1\r\nHost: b\r\n\r\n"], ids=["a line", "a request"])
@pytest.mark.parametrize("headers", ["", "Accept: application/json\r\n"], ids=["events", "document"])
async def test_a_client_that_leaves_after_a_byte_too_many_frees_its_slot(
    serve: Serve, script: Script, monkeypatch: pytest.MonkeyPatch, headers: str, more: bytes
) -> None:
    monkeypatch.setattr(recording_handler, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(transcription, "HEARTBEAT_SECONDS", 0.1)
    transcriber = await serve(max_jobs=1)
    script.hold = asyncio.Event()
    url, body = transcriber.http.base_url, b'{"savepath":"short.flac"}'
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST /transcribe HTTP/1.1\r\nHost: b\r\n{headers}{DECLARED_JSON}Content-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body + more)
    await until(transcriber, free=0)
    writer.write(more)  # this one is never read from the socket
    await asyncio.sleep(0.1)
    writer.close()
    await until(transcriber, free=1)


async def test_a_client_that_stays_after_a_byte_too_many_gets_its_answer(
    transcriber: Transcriber, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_handler, "HEARTBEAT_SECONDS", 0.02)
    script.delay_seconds = 0.2
    url, body = transcriber.http.base_url, b'{"savepath":"short.flac"}'
    reader, writer = await asyncio.open_connection(url.host, url.port)
    headers = f"Accept: application/json\r\n{DECLARED_JSON}"
    head = f"POST /transcribe HTTP/1.1\r\nHost: b\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body + b"\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize("headers", ["", "Accept: application/json\r\n"], ids=["events", "document"])
async def test_a_client_that_closes_only_its_own_side_gets_its_answer(
    transcriber: Transcriber, script: Script, monkeypatch: pytest.MonkeyPatch, headers: str
) -> None:
    monkeypatch.setattr(recording_handler, "HEARTBEAT_SECONDS", 0.02)
    script.delay_seconds = 0.2
    body = '{"savepath":"short.flac"}'
    head = f"POST /transcribe HTTP/1.1\r\nHost: b\r\n{headers}{DECLARED_JSON}Content-Length: {len(body)}\r\n\r\n"
    port = transcriber.http.base_url.port
    assert port
    answer = await HalfClosed(port, head + body).answer()
    assert answer.startswith(b"HTTP/1.1 200") and b"covered_seconds" in answer


async def test_a_refused_request_frees_its_slot(serve: Serve) -> None:
    transcriber = await serve(max_jobs=1, queue_length=0)
    for body in ({}, {"savepath": "a", "language": "de"}):
        assert (await transcriber.http.post("/transcribe", json=body)).status_code == 400
    assert (await transcriber.http.post("/transcribe", files={"other": b"1"})).status_code == 400
    await until(transcriber, free=1, waiting=0)


async def test_with_the_default_settings_none_of_64_clips_at_the_same_time_is_refused(
    serve: Serve, script: Script
) -> None:
    transcriber = await serve()
    script.hold = asyncio.Event()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=transcriber.http.base_url, limits=limits, timeout=60) as client:
        requests = [
            asyncio.create_task(client.post("/transcribe", json={"savepath": "silence.flac"}, headers=JSON))
            for _ in range(64)
        ]
        await until(transcriber, waiting=64 - TranscriberSection().max_jobs, free=0)
        script.hold.set()
        answers = await asyncio.gather(*requests)
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.json()["complete"] for answer in answers)


async def test_a_hundred_clients_that_come_and_leave_do_not_keep_a_slot(serve: Serve, script: Script) -> None:
    transcriber = await serve(max_jobs=2, queue_length=200)
    script.hold = asyncio.Event()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=transcriber.http.base_url, limits=limits, timeout=30) as client:
        requests = [
            asyncio.create_task(client.post("/transcribe", json={"savepath": "short.flac"}, headers=JSON))
            for _ in range(100)
        ]
        await until(transcriber, waiting=98, free=0)
        for number, request in enumerate(requests):
            if number % 10:
                request.cancel()
        await until(transcriber, waiting=8, free=0)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
    await until(transcriber, free=2, waiting=0)


async def test_metrics_count_who_waits_and_for_how_long(full: Transcriber, script: Script) -> None:
    async with left_behind(full, json={"savepath": "short.flac"}, headers=JSON) as waiting:
        await until(full, waiting=1)
        assert await full.metric("reelscribe_transcriptions_waiting") == 1
        assert await full.metric("reelscribe_transcriptions_running") == 2
        await asyncio.sleep(0.2)
        assert script.hold
        script.hold.set()
        await waiting
    assert await full.metric("reelscribe_slot_wait_seconds_count") == 3
    assert await full.metric("reelscribe_slot_wait_seconds_sum") > 0.2
    assert await full.metric("reelscribe_real_time_factor_count") == 3
    assert await full.metric("reelscribe_real_time_factor_sum") > 0


def test_requests_for_stored_recordings_are_less_urgent_by_default() -> None:
    assert TranscribeRequest(savepath="a").priority == "batch"
    assert TranscribeFields().priority == "interactive"
    assert TranscriptionForm(model="m").fields().priority == TranslationForm(model="m").fields().priority  # type: ignore[call-arg]
    assert TranscriptionForm(model="m").fields().priority == "interactive"  # type: ignore[call-arg]
