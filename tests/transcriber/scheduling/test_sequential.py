"""Sequential mode: the windows of a transcription one after the other, each with the text before it."""

from collections.abc import Sequence

import pytest

from tests.transcriber.conftest import Transcriber, segments
from transcriber.audio.mel import MelWindow
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.passes import Call, Passes
from transcriber.decoding.second_pass import Outcome, Span
from transcriber.decoding.segments import DecodedSegment

SEQUENTIAL = {"mode": "sequential"}


@pytest.fixture
def prompts(transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The prompt of each window, in order; the model decodes them without it, so that it changes nothing."""
    noted: list[str | None] = []
    passes = transcriber.service.recogniser.passes

    def without_prompt(window: MelWindow, options: DecodingOptions) -> Passes:
        noted.append(options.initial_prompt)
        return passes(window, DecodingOptions(options.language))

    monkeypatch.setattr(transcriber.service.recogniser, "passes", without_prompt)
    return noted


async def test_each_window_sees_the_text_before_it(transcriber: Transcriber, prompts: list[str | None]) -> None:
    found = segments(await transcriber.events("minute.flac", **SEQUENTIAL, initial_prompt="The garden."))
    said = " ".join(segment.text for segment in found)
    first, *later = prompts
    assert first == "The garden."
    assert len(later) >= 2
    assert all(prompt and said.startswith(prompt.strip()) for prompt in later)
    assert [len(prompt or "") for prompt in later] == sorted(len(prompt or "") for prompt in later)


async def test_without_the_text_before_it_each_window_has_the_hint(
    transcriber: Transcriber, prompts: list[str | None]
) -> None:
    await transcriber.events(
        "minute.flac", **SEQUENTIAL, initial_prompt="The garden.", condition_on_previous_text=False
    )
    assert len(prompts) >= 3
    assert set(prompts) == {"The garden."}


async def test_text_of_a_high_temperature_is_not_passed_on(
    transcriber: Transcriber, prompts: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(calls: Sequence[Call]) -> list[Outcome]:
        temperature = 0.8 if len(prompts) == 2 else 0.0
        segment = DecodedSegment(0, 0, 0.0, 1.0, " garden", [1], -0.1, 1.0, 0.0, None, temperature)
        return [Outcome([segment], [Span(0.0, call.window.seconds, 500)], call.window.seconds) for call in calls]

    monkeypatch.setattr(transcriber.service.recogniser, "decode", decode)
    await transcriber.events("ten_minutes.ogg", **SEQUENTIAL)
    assert prompts[:5] == [None, " garden", None, " garden", " garden garden"]


async def test_without_it_the_words_are_those_of_batched_mode(transcriber: Transcriber) -> None:
    batched = await transcriber.events("minute.flac")
    events = await transcriber.events("minute.flac", **SEQUENTIAL, condition_on_previous_text=False)
    assert [segment.text for segment in segments(events)] == [segment.text for segment in segments(batched)]
