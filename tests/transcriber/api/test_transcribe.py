"""POST /transcribe, from a recording to its words."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from reelscribe.contracts.events import Finished, Progress, Segment, Started
from tests.transcriber.conftest import Serve, Transcriber, segments, text, truth, word_error_rate
from tests.transcriber.peer import SPEECH, Script
from tests.waiting import eventually
from transcriber.audio.mel import Features, MelWindow
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.passes import Passes
from transcriber.decoding.recogniser import Recogniser
from transcriber.jobs import request_options, transcription

SEQUENTIAL = {"mode": "sequential", "condition_on_previous_text": False}


async def test_events_come_in_the_order_of_the_contract(transcriber: Transcriber) -> None:
    events = await transcriber.events("short.flac")
    assert [event.event for event in events] == ["started", "segment", "segment", "progress", "finished"]


async def test_a_short_recording_is_transcribed_exactly(transcriber: Transcriber) -> None:
    assert text(await transcriber.events("short.flac")) == truth("short.flac")["text"]


@pytest.mark.parametrize("name", ["minute.flac", "ten_minutes.ogg"])
async def test_words_and_times_of_longer_recordings(transcriber: Transcriber, name: str) -> None:
    events = await transcriber.events(name)
    assert word_error_rate(name, text(events)) <= 0.1
    starts = [segment.start for segment in segments(events)]
    late = [one for one in truth(name)["segments"] if min(abs(one["start"] - start) for start in starts) > 0.5]
    assert len(late) <= len(truth(name)["segments"]) // 20
    assert [segment.index for segment in segments(events)] == list(range(len(starts)))
    assert starts == sorted(starts)


@pytest.mark.parametrize("options", [{}, {"vad": False}, SEQUENTIAL, {**SEQUENTIAL, "vad": False}], ids=str)
async def test_silence_gives_no_words(transcriber: Transcriber, options: dict[str, Any]) -> None:
    events = await transcriber.events("silence.flac", **options)
    assert [event.event for event in events if event.event != "progress"] == ["started", "finished"]


async def test_the_end_proves_what_was_covered(transcriber: Transcriber, script: Script) -> None:
    *_, end = await transcriber.events("minute.flac", start=10.0)
    assert isinstance(end, Finished)
    receipt = script.receipts[end.extraction_id]
    assert (end.samples, end.sha256, end.etag) == (receipt.samples, receipt.sha256, "etag1")
    assert (end.declared_seconds, end.delivered_seconds, end.covered_seconds) == (50.0, 50.0, 50.0)
    assert (end.duration, end.complete, end.reason) == (60.0, True, None)


async def test_an_incomplete_recording_is_marked_as_such(transcriber: Transcriber, script: Script) -> None:
    script.receipt_changes = {"state": "incomplete", "reason": "20.0 s are declared", "declared_seconds": 20.0}
    *_, end = await transcriber.events("short.flac", allow_incomplete=True)
    assert script.requests[0].allow_incomplete
    assert isinstance(end, Finished)
    assert (end.complete, end.reason, end.declared_seconds) == (False, "20.0 s are declared", 20.0)


async def test_the_extractor_is_asked_for_what_whisper_needs(transcriber: Transcriber, script: Script) -> None:
    await transcriber.events("short.flac", start=1.5, track=0)
    asked = script.requests[0]
    assert (asked.audio_format, asked.sample_rate, asked.channels, asked.start, asked.track) == (
        "wav",
        16000,
        1,
        1.5,
        0,
    )


async def test_the_first_segment_leaves_before_the_last_byte_has_come(transcriber: Transcriber, script: Script) -> None:
    script.hold = asyncio.Event()
    async with aclosing(transcriber.stream("ten_minutes.ogg")) as events:
        async for event in events:
            if isinstance(event, Segment):
                break
    assert script.done == 0


@pytest.mark.parametrize("chunk_bytes", [333, 4097])
async def test_odd_chunks_change_nothing(transcriber: Transcriber, script: Script, chunk_bytes: int) -> None:
    script.chunk_bytes = chunk_bytes
    assert text(await transcriber.events("short.flac")) == truth("short.flac")["text"]


async def test_a_resumed_request_continues_without_a_gap(transcriber: Transcriber) -> None:
    complete = await transcriber.events("minute.flac")
    resume = next(event.seconds for event in complete if isinstance(event, Progress))
    rest = await transcriber.events("minute.flac", start=resume)
    first = [segment for segment in segments(complete) if segment.start < resume]
    assert 0 < len(first) < len(segments(complete))
    joined = [*first, *segments(rest)]
    assert [one.text for one in joined] == [one.text for one in segments(complete)]
    assert [one.start for one in joined] == pytest.approx([one.start for one in segments(complete)], abs=0.1)


async def test_sequential_mode_gives_the_same_words(transcriber: Transcriber) -> None:
    events = await transcriber.events("ten_minutes.ogg", **SEQUENTIAL)
    assert word_error_rate("ten_minutes.ogg", text(events)) <= 0.1
    assert len([event for event in events if isinstance(event, Progress)]) >= 5


async def test_sequential_mode_keeps_short_pauses_by_default(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[float] = []
    passes = transcriber.service.recogniser.passes

    def noted(window: MelWindow, options: DecodingOptions) -> Passes:
        lengths[-1] += window.seconds
        return passes(window, options)

    monkeypatch.setattr(transcriber.service.recogniser, "passes", noted)
    for options in ({}, {"vad_min_silence_duration_ms": 160, "vad_speech_pad_ms": 100}):
        lengths.append(0.0)
        await transcriber.events("minute.flac", **SEQUENTIAL, **options)
    kept, cut = lengths
    assert 60 > kept > 54 > cut


async def test_without_vad_nothing_is_left_out(transcriber: Transcriber) -> None:
    assert word_error_rate("minute.flac", text(await transcriber.events("minute.flac", vad=False))) <= 0.1


async def test_word_timestamps_lie_in_their_segment(transcriber: Transcriber) -> None:
    for segment in segments(await transcriber.events("minute.flac", word_timestamps=True)):
        assert segment.words
        assert "".join(word.word for word in segment.words).strip() == segment.text
        assert (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)


@pytest.fixture
def multilingual(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the model detect languages; the frames of each window that it gets for that."""
    asked: list[int] = []

    def detect(self: Recogniser, features: Features, languages: object) -> tuple[str, float]:
        asked.append(features.shape[-1])
        return "en", 0.95

    monkeypatch.setattr(Recogniser, "only_language", None)
    monkeypatch.setattr(Recogniser, "detect_language", detect)
    return asked


@pytest.mark.parametrize("mode", ["batched", "sequential"])
async def test_the_language_is_detected_once_on_the_first_speech(
    transcriber: Transcriber, multilingual: list[int], mode: str
) -> None:
    events = await transcriber.events("minute.flac", mode=mode)
    assert events[0] == Started(model="mini", language="en", language_probability=0.95, duration=60.0, etag="etag1")
    assert multilingual == [2000]
    assert isinstance(events[-1], Finished)


async def test_a_silent_recording_has_no_language(transcriber: Transcriber, multilingual: list[int]) -> None:
    started, finished = await transcriber.events("silence.flac")
    assert isinstance(started, Started)
    assert (started.language, started.language_probability, finished.event) == ("und", 0.0, "finished")
    assert multilingual == []


async def test_flac_is_transcribed_like_wav(serve: Serve, script: Script) -> None:
    script.bodies["minute.flac"] = (SPEECH / "minute.flac").read_bytes()
    events = await (await serve(audio_format="flac")).events("minute.flac")
    assert word_error_rate("minute.flac", text(events)) <= 0.1
    assert isinstance(events[-1], Finished)


async def test_audio_as_stored_is_decoded_here(
    serve: Serve, script: Script, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    opus = tmp_path / "minute.mka"
    run_ffmpeg("-i", SPEECH / "minute.flac", "-ar", "48000", "-ac", "2", "-c:a", "libopus", "-f", "matroska", opus)
    script.bodies["minute.flac"] = opus.read_bytes()
    script.receipt_changes = {"samples": None}
    events = await (await serve(audio_format="source")).events("minute.flac")
    assert script.requests[0].sample_rate is None
    assert word_error_rate("minute.flac", text(events)) <= 0.1
    assert isinstance(events[-1], Finished)


async def test_one_json_document_for_clients_that_ask_for_it(transcriber: Transcriber) -> None:
    answer = await transcriber.http.post(
        "/transcribe", json={"savepath": "short.flac"}, headers={"Accept": "application/json"}
    )
    document = answer.json()
    assert " ".join(segment["text"] for segment in document["segments"]) == truth("short.flac")["text"]
    assert (document["model"], document["language"], document["complete"]) == ("mini", "en", True)


async def test_jobs_share_batches_and_all_are_right(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    transcriber = await serve()
    recogniser = transcriber.service.recogniser
    decode = recogniser.decode

    def slow(*arguments: Any) -> Any:
        time.sleep(0.3)  # so that the windows of both wait when the next batch is made
        return decode(*arguments)

    monkeypatch.setattr(recogniser, "decode", slow)
    for events in await asyncio.gather(*(transcriber.events("minute.flac") for _ in range(4))):
        assert word_error_rate("minute.flac", text(events)) <= 0.1
    calls = await transcriber.metric("reelscribe_batch_windows_count")
    assert await transcriber.metric("reelscribe_batch_windows_sum") == 12
    assert await transcriber.metric("reelscribe_batch_jobs_sum") > calls


async def test_a_short_recording_does_not_wait_for_a_long_one(serve: Serve) -> None:
    transcriber = await serve(batch_size=1)
    long = asyncio.create_task(transcriber.events("ten_minutes.ogg"))
    while not await transcriber.metric("reelscribe_batch_windows_count"):
        await asyncio.sleep(0.05)
    assert text(await transcriber.events("short.flac")) == truth("short.flac")["text"]
    assert not long.done()
    long.cancel()


@pytest.fixture
def held_model(monkeypatch: pytest.MonkeyPatch) -> Callable[[Transcriber], asyncio.Event]:
    """Keep the model from decoding until the event is set."""

    def hold(transcriber: Transcriber) -> asyncio.Event:
        recogniser, loop, allowed = transcriber.service.recogniser, asyncio.get_running_loop(), asyncio.Event()
        decode = recogniser.decode

        def decode_when_allowed(*arguments: Any) -> Any:
            asyncio.run_coroutine_threadsafe(allowed.wait(), loop).result()
            return decode(*arguments)

        monkeypatch.setattr(recogniser, "decode", decode_when_allowed)
        return allowed

    return hold


HeldModel = Callable[[Transcriber], asyncio.Event]


async def test_audio_is_not_fetched_faster_than_it_is_decoded(
    serve: Serve, script: Script, held_model: HeldModel
) -> None:
    transcriber = await serve(batch_size=1)
    allowed = held_model(transcriber)
    async with aclosing(transcriber.stream("ten_minutes.ogg")) as events:
        await anext(events)
        sent = -1
        while script.sent_bytes != sent:
            sent = script.sent_bytes
            await asyncio.sleep(1)
        (running,) = transcriber.service._transcriptions
        assert running.received_seconds < 200
        assert script.done == 0
        allowed.set()


async def test_the_extractor_is_not_kept_waiting_while_the_model_is_behind(
    serve: Serve, script: Script, held_model: HeldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end the extraction of a client that reads nothing for a minute."""
    monkeypatch.setattr(transcription, "READ_AHEAD_SECONDS", 0.01)
    monkeypatch.setattr(request_options, "MAX_WINDOW_SECONDS", 10)
    transcriber = await serve(batch_size=1)
    allowed = held_model(transcriber)
    script.chunk_bytes = 20_000
    request = asyncio.create_task(transcriber.events("minute.flac"))
    await eventually(lambda: script.done)
    (running,) = transcriber.service._transcriptions
    assert running.received_seconds < 50
    allowed.set()
    assert word_error_rate("minute.flac", text(await request)) <= 0.15


async def test_nor_while_the_detection_of_the_language_waits_for_the_model(
    transcriber: Transcriber, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume = threading.Event()

    def detect(*_: Any) -> tuple[str, float]:
        resume.wait(60)
        return "en", 0.99

    monkeypatch.setattr(transcription, "READ_AHEAD_SECONDS", 0.01)
    monkeypatch.setattr(Recogniser, "only_language", None)
    monkeypatch.setattr(Recogniser, "detect_language", detect)
    script.chunk_bytes = 20_000
    request = asyncio.create_task(transcriber.events("minute.flac"))
    await eventually(lambda: script.done)
    (running,) = transcriber.service._transcriptions
    assert running.received_seconds < 50
    resume.set()
    assert word_error_rate("minute.flac", text(await request)) <= 0.15


async def test_progress_is_sent_while_the_extractor_prepares(
    transcriber: Transcriber, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription, "HEARTBEAT_SECONDS", 0.2)
    script.delay_seconds = 1.0
    events = await transcriber.events("short.flac", start=2.0)
    begun = next(position for position, event in enumerate(events) if isinstance(event, Started))
    assert begun >= 3
    assert {event.seconds for event in events[:begun] if isinstance(event, Progress)} == {2.0}


async def test_progress_continues_in_long_silence(
    transcriber: Transcriber, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription, "HEARTBEAT_SECONDS", 0.1)
    script.chunk_bytes, script.pause_seconds = 32_000, 0.1
    events = await transcriber.events("silence.flac")
    assert max(event.seconds for event in events if isinstance(event, Progress)) > 5


async def test_health_reports_the_model_and_free_slots(transcriber: Transcriber) -> None:
    health = (await transcriber.http.get("/healthz")).json()
    assert (health["model"], health["device"], health["capacity"], health["free"]) == ("mini", "cpu", 4, 4)
