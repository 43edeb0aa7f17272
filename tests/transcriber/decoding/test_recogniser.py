"""The output of the model becomes segments, and nothing of it is lost or added."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from reelscribe.contracts.transcriber import TranscribeOptions
from reelscribe.errors import BadRequest
from tests.transcriber.conftest import decoded, words_wrong
from tests.transcriber.peer import recording
from transcriber.audio.mel import MelWindow
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.segments import DecodedSegment
from transcriber.model.loading import LoadedModel

SHORT = ["The green hammer was empty and expensive.", "Why was every lemon in my garden?"]
ENGLISH = DecodingOptions("en")

Alter = Callable[[Callable[[dict[str, Any]], Any]], None]


@pytest.fixture
def recogniser(mini: LoadedModel) -> Recogniser:
    return Recogniser(mini)


def test_a_short_window_may_be_encoded_as_such(mini: LoadedModel, recogniser: Recogniser) -> None:
    fitted = Recogniser(mini, fitted_context=True)
    (short,), (minute,) = ([recording(name)[: 24 * 16_000]] for name in ("short.flac", "minute.flac"))
    assert [fitted.features(audio).shape[1] for audio in (short, minute)] == [1000, 2500]
    windows = [
        MelWindow(one.features(audio), len(audio) / 16_000) for one in (fitted, recogniser) for audio in (short, minute)
    ]
    found = [texts(segments) for segments in decoded(fitted, windows, ENGLISH)]
    assert found[0] == found[2] == texts(decode(recogniser)[0])
    assert words_wrong(" ".join(found[3]), " ".join(found[1])) <= 0.1


def decode(recogniser: Recogniser, options: DecodingOptions = ENGLISH, copies: int = 1) -> list[list[DecodedSegment]]:
    window = MelWindow(recogniser.features(recording("short.flac")), 7.5)
    return decoded(recogniser, [window] * copies, options)


def texts(segments: list[DecodedSegment]) -> list[str]:
    return [segment.text.strip() for segment in segments]


@pytest.fixture
def altered(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[dict[str, Any]], Any]], None]:
    """Change the output of the model at temperature 0."""
    generate = recogniser._pipeline.generate_segment_batched

    def alter(change: Callable[[dict[str, Any]], Any]) -> None:
        def generate_altered(*arguments: Any) -> Any:
            encoded, outputs = generate(*arguments)
            return encoded, [{**output, **change(output)} for output in outputs]

        monkeypatch.setattr(recogniser._pipeline, "generate_segment_batched", generate_altered)

    return alter


def test_sentences_come_with_their_times(recogniser: Recogniser) -> None:
    (segments,) = decode(recogniser)
    assert texts(segments) == SHORT
    assert [segment.start for segment in segments] == pytest.approx([0.3, 4.64], abs=0.1)


def test_text_after_the_last_timestamp_is_kept(recogniser: Recogniser, altered: Alter) -> None:
    altered(lambda output: {"tokens": output["tokens"][:-1]})
    (segments,) = decode(recogniser)
    assert texts(segments) == SHORT
    assert segments[-1].end == 7.5


def test_a_window_that_loops_is_decoded_again(recogniser: Recogniser, altered: Alter) -> None:
    altered(lambda output: {"tokens": output["tokens"][:2] + output["tokens"][2:4] * 100})
    (segments,) = decode(recogniser)
    assert texts(segments) == SHORT
    assert segments[0].temperature and segments[0].temperature > 0


@pytest.fixture
def always_looping(recogniser: Recogniser, altered: Alter, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the first words of the model loop at every temperature."""

    def loop(no_speech_prob: float) -> None:
        def looping(features: Any, prompt: Any, tokenizer: Any, options: Any) -> Any:
            _, (output,) = generate(recogniser.features(recording("short.flac"))[None], tokenizer, options)
            tokens = output["tokens"][:1] + output["tokens"][1:3] * 60
            return SimpleNamespace(sequences_ids=[tokens], no_speech_prob=no_speech_prob), -0.1, 1.0, 20.0

        generate = recogniser._pipeline.generate_segment_batched
        monkeypatch.setattr(recogniser._whisper, "generate_with_fallback", looping)
        altered(lambda output: {"tokens": output["tokens"][:1] + output["tokens"][1:3] * 60})

    return loop


def test_of_a_window_that_loops_at_every_temperature_one_repetition_is_kept(
    recogniser: Recogniser, always_looping: Callable[[float], None]
) -> None:
    always_looping(0.1)
    ((segment,),) = decode(recogniser)
    assert segment.text == " The green"
    assert segment.compression_ratio < 2.4


def test_a_loop_is_dropped_if_the_model_is_unsure_that_there_is_speech(
    recogniser: Recogniser, always_looping: Callable[[float], None]
) -> None:
    always_looping(0.7)
    assert decode(recogniser) == [[]]


def test_a_window_without_speech_gives_no_words(recogniser: Recogniser, altered: Alter) -> None:
    altered(lambda output: {"no_speech_prob": 0.7, "avg_logprob": -1.1})
    assert decode(recogniser) == [[]]


def test_words_do_not_depend_on_what_else_is_in_the_batch(recogniser: Recogniser) -> None:
    options = DecodingOptions("en", word_timestamps=True)
    alone, *together = [
        [(word.word, round(word.start, 2)) for segment in segments for word in segment.words or ()]
        for segments in (*decode(recogniser, options), *decode(recogniser, options, copies=3))
    ]
    assert together == [alone] * 3


def test_words_have_the_times_of_their_sentence(recogniser: Recogniser) -> None:
    (segments,) = decode(recogniser, DecodingOptions("en", word_timestamps=True))
    assert "".join(word.word for word in segments[1].words or ()).strip() == SHORT[1]
    assert segments[1].start == pytest.approx(4.64, abs=0.3)


def test_a_language_that_the_model_does_not_know_is_refused(recogniser: Recogniser) -> None:
    with pytest.raises(BadRequest, match=r"mini does not know 'de'; it knows English \(en\) only"):
        recogniser.check(TranscribeOptions(language="de"))


def test_hints_that_leave_no_room_for_an_answer_are_refused(recogniser: Recogniser) -> None:
    with pytest.raises(BadRequest, match=r"tokens together; at most 223 fit"):
        recogniser.check(TranscribeOptions(initial_prompt="garden " * 200, hotwords="hammer " * 100))
