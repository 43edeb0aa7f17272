"""Speech for which the model has no words is reported, and counts as incomplete only if the request says so."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import httpx
import pytest

from reelscribe.contracts.events import Event, Finished, Progress
from reelscribe.contracts.speech_without_words import SpeechWithoutWords
from tests.transcriber.conftest import Transcriber, segments
from tests.transcriber.peer import SPEECH, Script
from transcriber.audio.windows import Window
from transcriber.decoding.segments import DecodedSegment
from transcriber.scheduling.batcher import WindowQueue
from transcriber.scheduling.sequential import SequentialQueue

SEQUENTIAL: dict[str, Any] = {"mode": "sequential", "condition_on_previous_text": False}
SECOND_WINDOW = [(16.06, 22.02), (23.33, 26.14), (28.22, 30.59), (32.0, 34.18)]
"""The speech of it in minute.flac; pauses under 1 s make no two stretches."""


def end(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished), events[-1]
    return events[-1]


def reported(events: list[Event]) -> list[tuple[float, float]]:
    without_words = end(events).speech_without_words
    assert without_words
    times = [(stretch.start, stretch.end) for stretch in without_words.stretches]
    assert without_words.count == len(times)
    assert without_words.seconds == pytest.approx(sum(end - start for start, end in times))
    return times


def about(times: list[tuple[float, float]]) -> Any:
    return [pytest.approx(one, abs=0.1) for one in times]


@pytest.fixture
def wordless(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have nothing come out of the model for a window."""

    def choose(number: int) -> None:
        numbers = count()

        async def nothing(segments: "asyncio.Future[list[DecodedSegment]]") -> list[DecodedSegment]:
            await segments
            return []

        def some_of(submit: Callable[..., Any]) -> Callable[..., Any]:
            def submit_some(queue: Any, window: Window) -> "asyncio.Future[list[DecodedSegment]]":
                segments = submit(queue, window)
                return asyncio.ensure_future(nothing(segments)) if next(numbers) == number else segments

            return submit_some

        for queue in (WindowQueue, SequentialQueue):
            monkeypatch.setattr(queue, "submit", some_of(queue.submit))

    return choose


async def test_of_a_recording_with_words_for_all_speech_none_is_reported(transcriber: Transcriber) -> None:
    for options in ({}, SEQUENTIAL):
        events = await transcriber.events("minute.flac", **options)
        assert end(events).speech_without_words == SpeechWithoutWords()
        assert end(events).complete


async def test_a_window_without_words_is_reported_and_counts_as_complete(
    transcriber: Transcriber, wordless: Callable[[int], None]
) -> None:
    wordless(1)
    events = await transcriber.events("minute.flac")
    assert reported(events) == about(SECOND_WINDOW)
    assert (end(events).complete, end(events).reason) == (True, None)
    assert segments(events)


async def test_more_than_the_request_allows_is_incomplete(
    transcriber: Transcriber, wordless: Callable[[int], None]
) -> None:
    wordless(1)
    finished = end(await transcriber.events("minute.flac", max_speech_without_words=5))
    assert not finished.complete
    assert (
        finished.reason
        == "13.3 s detected as speech without words at 0:16, 0:23, 0:28 and 1 more; the request allows 5 s"
    )


async def test_less_than_the_request_allows_is_complete(
    transcriber: Transcriber, wordless: Callable[[int], None]
) -> None:
    wordless(1)
    assert end(await transcriber.events("minute.flac", max_speech_without_words=20)).complete


async def test_progress_reports_it_as_soon_as_it_is_known(
    transcriber: Transcriber, wordless: Callable[[int], None]
) -> None:
    wordless(1)
    events = await transcriber.events("minute.flac")
    known = [event for event in events if isinstance(event, Progress) and event.speech_without_words]
    assert [event.seconds > 30 for event in known] == [False, True]
    assert known[0].speech_without_words == SpeechWithoutWords()
    assert known[1].speech_without_words == end(events).speech_without_words


async def test_times_are_those_of_the_recording_whatever_second_a_request_starts_at(
    transcriber: Transcriber, wordless: Callable[[int], None]
) -> None:
    wordless(0)
    times = reported(await transcriber.events("minute.flac", start=15.264))
    assert times[0] == pytest.approx(SECOND_WINDOW[0], abs=0.1)


async def test_in_sequential_mode_it_is_reported_too(transcriber: Transcriber, wordless: Callable[[int], None]) -> None:
    wordless(1)
    events = await transcriber.events("minute.flac", **SEQUENTIAL, max_speech_without_words=0)
    assert reported(events) == about(SECOND_WINDOW)
    assert not end(events).complete


async def test_with_voice_activity_detection_off_nothing_is_known(
    transcriber: Transcriber, wordless: Callable[[int], None]
) -> None:
    wordless(0)
    events = await transcriber.events("minute.flac", vad=False)
    assert end(events).speech_without_words is None
    assert all(event.speech_without_words is None for event in events if isinstance(event, Progress))
    refused = await transcriber.http.post(
        "/transcribe", json={"savepath": "minute.flac", "vad": False, "max_speech_without_words": 5}
    )
    assert refused.status_code == 400
    assert "max_speech_without_words: it has no effect with vad = false" in refused.json()["error"]["message"]


async def test_a_recording_that_is_cut_has_that_reason(
    transcriber: Transcriber, wordless: Callable[[int], None], script: Script
) -> None:
    script.receipt_changes = {"state": "incomplete", "reason": "60 of 90 s came out"}
    wordless(1)
    finished = end(await transcriber.events("minute.flac", allow_incomplete=True, max_speech_without_words=0))
    assert (finished.complete, finished.reason) == (False, "60 of 90 s came out")
    assert finished.speech_without_words


async def test_a_json_document_and_openais_verbose_json_have_it(
    transcriber: Transcriber, wordless: Callable[[int], None]
) -> None:
    wordless(0)
    sound = ("minute.flac", (SPEECH / "minute.flac").read_bytes())
    headers = {"Accept": "application/json"}
    document = await transcriber.http.post("/transcribe", json={"savepath": "minute.flac"}, headers=headers)
    found = _reported(document)
    wordless(0)
    verbose = await transcriber.http.post(
        "/v1/audio/transcriptions",
        files={"file": sound},
        data={"model": "whisper-1", "response_format": "verbose_json"},
    )
    assert found == _reported(verbose)
    assert (found.count, found.stretches[0].start) == (3, pytest.approx(0.5, abs=0.1))


def _reported(answer: httpx.Response) -> SpeechWithoutWords:
    assert answer.status_code == 200, answer.text
    return SpeechWithoutWords.model_validate(answer.json()["speech_without_words"])
