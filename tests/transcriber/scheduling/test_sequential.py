"""Sequential mode is faster-whisper's own long-form algorithm."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.transcriber.conftest import Transcriber, segments
from tests.transcriber.peer import recording
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.recogniser import Recogniser
from transcriber.model.loading import LoadedModel


@pytest.mark.parametrize("word_timestamps", [False, True])
@pytest.mark.parametrize("condition", [False, True])
@pytest.mark.parametrize("name", ["short.flac", "minute.flac"])
def test_segments_are_those_of_whisper_model(
    mini: LoadedModel, name: str, condition: bool, word_timestamps: bool
) -> None:
    audio = recording(name)
    options = DecodingOptions("en", word_timestamps=word_timestamps)
    ours = list(Recogniser(mini).decode_long_form(audio, options, [], condition))
    theirs, _ = mini.whisper.transcribe(
        audio, language="en", condition_on_previous_text=condition, word_timestamps=word_timestamps
    )
    assert [_comparable(segment) for segment in ours] == [_comparable(segment) for segment in theirs]


def _comparable(segment: Any) -> tuple[Any, ...]:
    words = [(word.word, word.start, word.end) for word in segment.words or ()]
    return segment.text, segment.start, segment.end, segment.tokens, segment.temperature, words


async def test_over_http_too(transcriber: Transcriber, mini: LoadedModel) -> None:
    events = await transcriber.events("minute.flac", mode="sequential", vad=False, condition_on_previous_text=False)
    theirs, _ = mini.whisper.transcribe(recording("minute.flac"), condition_on_previous_text=False)
    assert [segment.text for segment in segments(events)] == [segment.text.strip() for segment in theirs]


def test_of_a_window_that_loops_one_repetition_is_kept(mini: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    recogniser = Recogniser(mini)
    fallback = mini.whisper.generate_with_fallback

    def looping(*arguments: Any) -> Any:
        result, logprob, temperature, _ = fallback(*arguments)
        first, *words = result.sequences_ids[0]
        loop = SimpleNamespace(sequences_ids=[[first, *words[:2] * 60]], no_speech_prob=result.no_speech_prob)
        return loop, logprob, temperature, 20.0

    monkeypatch.setattr(mini.whisper, "generate_with_fallback", looping)
    (segment,) = recogniser.decode_long_form(recording("short.flac"), DecodingOptions("en"), [], False)
    assert segment.text == " The green"
    assert segment.compression_ratio < 2.4
