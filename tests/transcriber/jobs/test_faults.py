"""Every failure is reported, and never passes for a transcript."""

import asyncio
import os
import threading
from contextlib import aclosing
from typing import Any

import pytest

from reelscribe.contracts.events import Event, Failed, Finished, Progress
from reelscribe.contracts.messages import ErrorObject
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.errors import IncompleteRecording, ObjectNotFound
from reelscribe.http.access.tokens import Tokens
from tests.transcriber.conftest import Serve, Transcriber, segments, text, truth
from tests.transcriber.peer import SPEECH, Script
from tests.waiting import eventually
from transcriber.api import recording_handler
from transcriber.api import transcribe as transcribe_route
from transcriber.jobs import transcription
from transcriber.jobs.events import ClientLeft

HALF_OF_TEN_MINUTES = 9_600_000


def failure(events: list[Event]) -> Failed:
    end = events[-1]
    assert isinstance(end, Failed), end
    return end


async def test_a_cut_stream_is_a_failure_worth_a_retry(transcriber: Transcriber, script: Script) -> None:
    script.cut_after_bytes = HALF_OF_TEN_MINUTES
    events = await transcriber.events("ten_minutes.ogg")
    assert (failure(events).code, failure(events).retryable) == ("stream_cut", True)


async def test_what_was_sent_before_a_cut_can_be_continued(transcriber: Transcriber, script: Script) -> None:
    script.cut_after_bytes = 1_600_000
    first = await transcriber.events("minute.flac")
    resume = [event.seconds for event in first if isinstance(event, Progress)][-1]
    script.cut_after_bytes = None
    second = await transcriber.events("minute.flac", start=resume)
    complete = await transcriber.events("minute.flac")
    assert segments(first)
    assert f"{text(first)} {text(second)}" == text(complete)


async def test_a_cut_stream_whose_receipt_has_the_reason_fails_with_it(
    transcriber: Transcriber, script: Script
) -> None:
    script.cut_after_bytes = 100_000
    error = IncompleteRecording("half of it is missing", delivered_seconds=3).as_json()
    script.receipt_changes = {"state": "failed", "error": ErrorObject(**error)}
    end = failure(await transcriber.events("short.flac"))
    assert (end.code, end.message, end.retryable) == ("incomplete_recording", "half of it is missing", False)
    assert end.details == {"delivered_seconds": 3}


@pytest.mark.parametrize("audio_format", ["wav", "flac"])
@pytest.mark.parametrize(
    "lie",
    [{"sha256": "0" * 64}, {"bytes": 1}, {"samples": 119_990}, {"state": "failed", "reason": "the client left"}],
    ids=["sha256", "bytes", "samples", "state"],
)
async def test_audio_that_does_not_match_its_receipt_is_no_transcript(
    serve: Serve, script: Script, lie: dict[str, Any], audio_format: str
) -> None:
    script.receipt_changes = lie
    if audio_format == "flac":
        script.bodies["short.flac"] = (SPEECH / "short.flac").read_bytes()
    end = failure(await (await serve(audio_format=audio_format)).events("short.flac"))
    assert (end.code, end.retryable) == ("stream_cut", True)


async def test_source_audio_that_is_seconds_short_is_no_transcript(serve: Serve, script: Script) -> None:
    script.bodies["short.flac"] = (SPEECH / "short.flac").read_bytes()
    script.receipt_changes = {"samples": None, "delivered_seconds": 9.0}
    end = failure(await (await serve(audio_format="source")).events("short.flac"))
    assert end.code == "stream_cut"


@pytest.mark.parametrize("audio_format", ["flac", "source"])
async def test_a_cut_compressed_stream_is_a_failure_worth_a_retry(
    serve: Serve, script: Script, audio_format: str
) -> None:
    script.bodies["minute.flac"] = (SPEECH / "minute.flac").read_bytes()
    script.cut_after_bytes = 500_000
    end = failure(await (await serve(audio_format=audio_format)).events("minute.flac"))
    assert (end.code, end.retryable) == ("stream_cut", True)


async def test_source_audio_that_is_none_is_not_decodable(serve: Serve, script: Script) -> None:
    script.bodies["short.flac"] = b"#EXTM3U\nhttp://127.0.0.1/secret\n" * 1000
    end = failure(await (await serve(audio_format="source")).events("short.flac"))
    assert (end.code, end.retryable) == ("not_decodable", False)


async def test_a_missing_object_fails_with_the_extractors_sentence(transcriber: Transcriber, script: Script) -> None:
    script.refuse = ObjectNotFound("there is no youtube/gone.mp4 in videos")
    end = failure(await transcriber.events("youtube/gone.mp4"))
    assert (end.code, end.message) == ("object_not_found", "there is no youtube/gone.mp4 in videos")
    assert not end.retryable


async def test_in_a_json_document_a_failure_is_the_http_status(transcriber: Transcriber, script: Script) -> None:
    script.refuse = ObjectNotFound("there is no youtube/gone.mp4 in videos")
    answer = await transcriber.http.post("/transcribe", json={"savepath": "x"}, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "object_not_found")


async def test_an_extractor_that_does_not_answer_is_a_failure_worth_a_retry(serve: Serve) -> None:
    end = failure(await (await serve(extractor_url="http://127.0.0.1:9")).events("short.flac"))
    assert (end.code, end.retryable) == ("peer_unreachable", True)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, "savepath"),
        ({"savepath": "a", "speed": 2}, "speed"),
        ({"savepath": "a", "mode": "fast"}, "mode"),
        ({"savepath": "a", "start": -1}, "start"),
        ({"savepath": "a", "language": "de"}, "English"),
        ({"savepath": "a", "hotwords": "garden " * 250}, "tokens"),
    ],
    ids=["no savepath", "unknown field", "unknown mode", "negative start", "unknown language", "too many hotwords"],
)
async def test_a_bad_request_is_refused_with_a_sentence(
    transcriber: Transcriber, body: dict[str, Any], names: str
) -> None:
    answer = await transcriber.http.post("/transcribe", json=body)
    assert answer.status_code == 400
    assert names in answer.json()["error"]["message"]


async def until_free(transcriber: Transcriber, slots: int) -> None:
    async def free() -> bool:
        return (await transcriber.http.get("/healthz")).json()["free"] == slots

    await eventually(free)


@pytest.mark.parametrize("audio_format", ["wav", "flac"])
async def test_a_client_that_leaves_frees_its_slot_and_the_extractor(
    serve: Serve, script: Script, audio_format: str
) -> None:
    transcriber = await serve(max_jobs=1, audio_format=audio_format)
    if audio_format == "flac":
        script.bodies["minute.flac"] = (SPEECH / "minute.flac").read_bytes()
    script.hold, script.chunk_bytes = asyncio.Event(), 16_384
    async with aclosing(transcriber.stream("minute.flac")) as events:
        await anext(events)
        await asyncio.sleep(0.5)  # until it waits for more audio
    await until_free(transcriber, 1)
    script.hold.set()
    await eventually(lambda: script.left_early)
    assert (script.left_early, script.done) == (1, 0)


async def test_a_client_that_reads_nothing_does_not_keep_its_slot(
    serve: Serve, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(recording_handler, "STALL_SECONDS", 0.3)
    transcriber = await serve(max_jobs=1)
    script.hold = asyncio.Event()

    async def never(*_: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(transcribe_route.TranscribeHandler, "flush", never)
    leaving = asyncio.create_task(transcriber.events("ten_minutes.ogg"))
    await until_free(transcriber, 0)
    await until_free(transcriber, 1)
    leaving.cancel()


async def test_recordings_that_do_not_arrive_block_no_others(serve: Serve, script: Script) -> None:
    transcriber = await serve(max_jobs=40, audio_format="source")
    for name in ("minute.flac", "short.flac"):
        script.bodies[name] = (SPEECH / name).read_bytes()
    script.hold, script.chunk_bytes, script.receipt_changes = asyncio.Event(), 20_000, {"samples": None}
    threads = min(32, (os.cpu_count() or 1) + 4)  # of asyncio's own pool
    stalled = [asyncio.create_task(transcriber.events("minute.flac")) for _ in range(threads)]
    await until_free(transcriber, 40 - threads)
    await asyncio.sleep(1)
    hold, script.hold = script.hold, None
    events = await asyncio.wait_for(transcriber.events("short.flac"), 60)
    assert text(events) == truth("short.flac")["text"]
    hold.set()
    for events in await asyncio.gather(*stalled):
        assert isinstance(events[-1], Finished)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decoding")]


@pytest.mark.parametrize("end", ["cancelled", "the client has left"])
async def test_a_job_that_ends_just_when_a_window_was_sent_frees_its_slot(serve: Serve, end: str) -> None:
    service = (await serve(batch_size=1)).service
    request, windows = TranscribeRequest(savepath="ten_minutes.ogg"), 0

    async def emit(event: Event) -> None:
        nonlocal windows
        windows += isinstance(event, Progress)
        if windows == 6:
            if end == "the client has left":
                raise ClientLeft
            running.cancel()

    with service.claim("batch") as claim:
        running = asyncio.create_task(service.transcribe(request, service.stored(request), claim, emit))
        await asyncio.wait({running}, timeout=60)
        assert running.done() and service.slots.running == 0
        await asyncio.gather(running, return_exceptions=True)


async def test_more_jobs_than_slots_are_refused_with_the_time_to_retry(serve: Serve, script: Script) -> None:
    transcriber = await serve(max_jobs=1, queue_length=0)
    script.hold = asyncio.Event()
    running = asyncio.create_task(transcriber.events("short.flac"))
    await until_free(transcriber, 0)
    refused = await transcriber.http.post("/transcribe", json={"savepath": "short.flac"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
    assert int(refused.headers["Retry-After"]) > 0
    script.hold.set()
    assert text(await running) == truth("short.flac")["text"]
    await until_free(transcriber, 1)


@pytest.mark.parametrize(
    ("raised", "code", "sentence"),
    [
        ("CUDA failed with error out of memory", "model_out_of_memory", "lower [transcriber] batch_size"),
        ("cuBLAS failed: CUBLAS_STATUS_ALLOC_FAILED", "model_out_of_memory", "lower [transcriber] batch_size"),
        ("anything", "model_failed", "the log"),
    ],
)
async def test_a_model_that_fails_fails_its_jobs_and_no_others(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch, raised: str, code: str, sentence: str
) -> None:
    def fail(*arguments: Any) -> Any:
        raise RuntimeError(raised)

    with monkeypatch.context() as patch:
        patch.setattr(transcriber.service.recogniser, "decode", fail)
        end = failure(await transcriber.events("minute.flac"))
    assert (end.code, end.retryable) == (code, True)
    assert sentence in end.message
    assert isinstance((await transcriber.events("short.flac"))[-1], Finished)


async def test_an_internal_error_hides_its_details(transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> Any:
        raise KeyError("/secret/path")

    monkeypatch.setattr(transcriber.service.recogniser, "features", fail)
    end = failure(await transcriber.events("short.flac"))
    assert (end.code, end.retryable) == ("internal_error", True)
    assert "/secret" not in end.message


@pytest.mark.parametrize("mode", ["batched", "sequential"])
async def test_a_stopping_transcriber_says_where_to_resume(transcriber: Transcriber, script: Script, mode: str) -> None:
    script.hold = asyncio.Event()
    events = []
    async for event in transcriber.stream("ten_minutes.ogg", mode=mode):
        events.append(event)
        if isinstance(event, Progress):
            await transcriber.service.stop()
    end = failure(events)
    assert (end.code, end.retryable) == ("stopping", True)
    assert end.details["resume"] == pytest.approx(
        [event.seconds for event in events if isinstance(event, Progress)][-1], abs=0.01
    )


async def test_a_stopping_transcriber_does_not_wait_for_the_extractor(transcriber: Transcriber, script: Script) -> None:
    script.delay_seconds = 600
    running = asyncio.create_task(transcriber.events("short.flac", start=1.0))
    await until_free(transcriber, 3)
    await transcriber.service.stop()
    end = failure(await asyncio.wait_for(running, 60))
    assert (end.code, end.details) == ("stopping", {"resume": 1.0})


async def test_a_token_is_required_if_one_is_configured(transcriber: Transcriber) -> None:
    transcriber.service.access.tokens = Tokens(("secret",))
    answer = await transcriber.http.post("/transcribe", json={"savepath": "short.flac"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


async def test_a_batch_that_does_not_end_stalls_the_transcriber_until_it_does(serve: Serve) -> None:
    transcriber = await serve(stall_seconds=0.2)
    let_end = threading.Event()
    call = asyncio.create_task(transcriber.service.model.call(let_end.wait))
    async with asyncio.timeout(60):
        while transcriber.service.stalled() is None:
            await asyncio.sleep(0.01)
    health = (await transcriber.http.get("/healthz")).json()
    assert (health["status"], "stall_seconds" in health["problems"][0]) == ("degraded", True)
    let_end.set()
    await call
    assert transcriber.service.stalled() is None
