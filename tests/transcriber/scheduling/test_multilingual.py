"""Many languages, with a model of random weights: it detects a language in any sound, and writes random words."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelscribe.contracts.events import Finished, Started
from reelscribe.contracts.transcriber import TranscribeOptions
from reelscribe.errors import BadRequest
from tests.transcriber import sounds
from tests.transcriber.conftest import Serve, decoded, segments
from tests.transcriber.peer import Script, recording, wav
from tools.random_model import make_model
from transcriber.audio.mel import Features, MelWindow
from transcriber.audio.vad import Piece
from transcriber.audio.windows import Timeline, Window
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.passes import Call
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.second_pass import Outcome
from transcriber.decoding.segments import DecodedSegment
from transcriber.model.loading import LoadedModel, load_model
from transcriber.scheduling.language_detection import LanguageDetection

SPEECH = recording("minute.flac")[: 20 * 16_000]
LOW = np.sin(np.arange(20 * 16_000) / 16_000 * 2 * np.pi * 60).astype(np.float32)


@pytest.fixture(scope="module")
def polyglot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recogniser]:
    folder: Path = make_model(tmp_path_factory.mktemp("nano"), "nano", storage="int8", tokens_per_window=40)
    yield Recogniser(load_model(str(folder), "cpu", "int8"))


def decode(
    recogniser: Recogniser, sounds: list[sounds.Sound], language: str | None, **options: object
) -> list[list[DecodedSegment]]:
    windows = [MelWindow(recogniser.features(sound), len(sound) / 16_000) for sound in sounds]
    return decoded(recogniser, windows, DecodingOptions(language, **options))  # type: ignore[arg-type]


def texts_and_times(window: list[DecodedSegment]) -> list[tuple[str, float, float]]:
    return [(segment.text, round(segment.start, 2), round(segment.end, 2)) for segment in window]


def test_these_sounds_have_two_languages_for_the_model(polyglot: Recogniser) -> None:
    languages = {polyglot.detect_language(polyglot.features(sound))[0] for sound in (SPEECH, LOW, sounds.silence(20))}
    assert len(languages) >= 2


def test_each_window_of_a_batch_is_decoded_in_its_own_language(polyglot: Recogniser) -> None:
    batch = [SPEECH, sounds.silence(20), LOW, SPEECH]
    windows = decode(polyglot, batch, None)
    for sound, window in zip(batch, windows, strict=True):
        language, _ = polyglot.detect_language(polyglot.features(sound))
        assert {segment.language for segment in window} == {language}
        (alone,) = decode(polyglot, [sound], language)
        assert texts_and_times(window) == texts_and_times(alone)


def test_words_are_aligned_in_the_language_of_their_window(polyglot: Recogniser) -> None:
    windows = decode(polyglot, [SPEECH, sounds.silence(20)], None, word_timestamps=True, max_segment_seconds=4)
    for sound, window in zip((SPEECH, sounds.silence(20)), windows, strict=True):
        language, _ = polyglot.detect_language(polyglot.features(sound))
        (alone,) = decode(polyglot, [sound], language, word_timestamps=True, max_segment_seconds=4)
        assert texts_and_times(window) == texts_and_times(alone)
        assert all("".join(word.word for word in segment.words or ()) == segment.text for segment in window)


def test_a_chosen_language_is_not_repeated_on_each_segment(polyglot: Recogniser) -> None:
    (window,) = decode(polyglot, [SPEECH], "de")
    assert {segment.language for segment in window} == {None}


def test_translating_changes_what_is_decoded(polyglot: Recogniser) -> None:
    polyglot.check(TranscribeOptions(task="translate"))
    transcribed = decode(polyglot, [SPEECH], "de")
    assert transcribed == decode(polyglot, [SPEECH], "de")
    assert transcribed != decode(polyglot, [SPEECH], "de", task="translate")


def detect_in_turn(recogniser: Recogniser, probabilities: list[float], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the model detect one language after the other with these probabilities; those it has detected."""
    detected: list[str] = []

    def detect(features: Features, languages: object) -> tuple[str, float]:
        if features.shape[1] < 3000:
            return "und", 0.0
        detected.append(["de", "fr", "fr", "es"][len(detected)])
        return detected[-1], probabilities[len(detected) - 1]

    monkeypatch.setattr(recogniser, "detect_language", detect)
    return detected


@pytest.mark.parametrize(
    ("probabilities", "windows", "language"),
    [([0.9], 1, "de"), ([0.4, 0.6], 2, "fr"), ([0.4, 0.3, 0.2], 3, "fr"), ([0.45, 0.2, 0.2], 3, "de")],
)
async def test_more_speech_is_used_while_no_language_is_sure(
    serve: Serve,
    polyglot: Recogniser,
    monkeypatch: pytest.MonkeyPatch,
    probabilities: list[float],
    windows: int,
    language: str,
) -> None:
    transcriber = await serve(loaded=polyglot.model)
    detected = detect_in_turn(transcriber.service.recogniser, probabilities, monkeypatch)
    detection = LanguageDetection(transcriber.service.recogniser, transcriber.service.model, None)
    found = None
    while not found:
        found = await detection.add(window(SPEECH, 20.0))
    assert (found[0], len(detected)) == (language, windows)


@pytest.mark.parametrize(("probability", "contexts"), [(0.95, [1000]), (0.85, [1000, 3000])])
async def test_what_is_not_clear_in_a_fitted_context_is_detected_again_in_one_of_30_s(
    serve: Serve, polyglot: Recogniser, monkeypatch: pytest.MonkeyPatch, probability: float, contexts: list[int]
) -> None:
    transcriber = await serve(loaded=polyglot.model)
    seen: list[int] = []

    def detect(features: Features, languages: object) -> tuple[str, float]:
        seen.append(features.shape[1])
        return "de", probability if len(seen) == 1 else 0.7

    monkeypatch.setattr(transcriber.service.recogniser, "detect_language", detect)
    detection = LanguageDetection(transcriber.service.recogniser, transcriber.service.model, None)
    assert await detection.add(window(SPEECH[: 8 * 16_000], 8.0)) == ("de", probability if contexts == [1000] else 0.7)
    assert seen == contexts


def window(sound: sounds.Sound, speech: float) -> Window:
    """A window of sound with that many seconds of speech."""
    return Window(sound, Timeline([Piece(0, len(sound))], 0.0), len(sound) / 16_000, ((0.0, speech),))


async def test_half_a_second_of_speech_makes_no_language_sure(
    serve: Serve, polyglot: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcriber = await serve(loaded=polyglot.model)
    monkeypatch.setattr(transcriber.service.recogniser, "detect_language", lambda *_: ("ro", 0.7))
    detection = LanguageDetection(transcriber.service.recogniser, transcriber.service.model, None)
    assert await detection.add(window(SPEECH, 0.5)) is None
    assert detection.decide() == ("ro", pytest.approx(0.35))
    assert detection.highest == 0.7, "text in a clear language is not left out"


async def test_the_language_is_that_of_the_first_speech_not_of_the_silence_before_it(
    serve: Serve, script: Script, polyglot: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def detect(features: Features, languages: object = ()) -> tuple[str, float]:
        return ("fr" if np.ptp(features) > 0.1 else "de"), 0.9

    transcriber = await serve(loaded=polyglot.model)
    monkeypatch.setattr(transcriber.service.recogniser, "detect_language", detect)
    assert detect(polyglot.features(sounds.silence(30)))[0] == "de"
    sound = np.concatenate((sounds.silence(40), SPEECH))
    script.bodies["short.flac"] = wav((sound * 32767).astype("<i2").tobytes())
    script.receipt_changes = {"samples": len(sound), "declared_seconds": 60.0, "delivered_seconds": 60.0}
    started, *rest = await transcriber.events("short.flac", vad=False)
    assert isinstance(started, Started)
    assert started.language == "fr"
    assert segments(rest)[0].start < 30  # what came before the language was known is not lost


async def test_silence_alone_has_no_language(serve: Serve, polyglot: Recogniser) -> None:
    transcriber = await serve(loaded=polyglot.model)
    started, *_, finished = await transcriber.events("silence.flac", vad=False)
    assert isinstance(started, Started)
    assert (started.language, started.language_probability, started.language_uncertain) == ("und", 0.0, True)
    assert isinstance(finished, Finished)
    assert finished.segments or not finished.remarks


async def test_an_uncertain_language_is_said_to_be_so(
    serve: Serve, polyglot: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcriber = await serve(loaded=polyglot.model)
    for probability, uncertain in ((0.27, True), (0.8, False)):
        monkeypatch.setattr(transcriber.service.recogniser, "detect_language", lambda *_: ("de", probability))  # noqa: B023
        started, *_, finished = await transcriber.events("short.flac")
        assert isinstance(started, Started)
        assert isinstance(finished, Finished)
        assert started.language_uncertain is uncertain
        assert any("de with a probability of 0.27" in remark for remark in finished.remarks) is uncertain


@pytest.mark.parametrize(
    ("language", "logprob", "options", "kept"),
    [
        (0.3, -0.9, {}, False),
        (0.3, -0.7, {}, True),
        (0.6, -0.9, {}, True),
        (0.3, -0.9, {"vad": False}, True),
        (0.3, -0.9, {"multilingual": True}, True),
    ],
)
async def test_text_that_is_a_guess_in_a_language_that_is_one_too_is_left_out_and_reported(
    serve: Serve,
    polyglot: Recogniser,
    monkeypatch: pytest.MonkeyPatch,
    language: float,
    logprob: float,
    options: dict[str, Any],
    kept: bool,
) -> None:
    transcriber = await serve(loaded=polyglot.model)
    recogniser = transcriber.service.recogniser
    decode = recogniser.decode
    monkeypatch.setattr(recogniser, "detect_language", lambda *_: ("de", language))

    def with_logprob(calls: Any) -> Any:
        outcomes = decode(calls)
        for outcome in outcomes:
            outcome.segments[:] = [replace(segment, avg_logprob=logprob) for segment in outcome.segments]
        return outcomes

    monkeypatch.setattr(recogniser, "decode", with_logprob)
    *_, finished = events = await transcriber.events("short.flac", **options)
    assert isinstance(finished, Finished)
    assert bool(segments(events)) is kept
    assert any("left out, since their words are uncertain too: " in remark for remark in finished.remarks) is not kept
    if options.get("vad", True):
        assert finished.speech_without_words
        assert (finished.speech_without_words.seconds > 3) is not kept


@pytest.mark.parametrize("options", [{}, {"vad": False}, {"mode": "sequential"}])
async def test_only_an_allowed_language_is_detected(
    serve: Serve, polyglot: Recogniser, options: dict[str, Any]
) -> None:
    transcriber = await serve(loaded=polyglot.model)
    anything, *_ = await transcriber.events("short.flac", **options)
    assert isinstance(anything, Started)
    allowed = sorted({"de", "fr", "ja"} - {anything.language})
    started, *_ = await transcriber.events("short.flac", languages=allowed, **options)
    assert isinstance(started, Started)
    assert started.language in allowed
    assert 1 / len(allowed) < started.language_probability <= 1  # among these
    one, *_ = await transcriber.events("short.flac", languages=["ja"], **options)
    assert isinstance(one, Started)
    assert (one.language, one.language_probability, one.language_uncertain) == ("ja", 1.0, False)


@pytest.mark.parametrize("mode", ["batched", "sequential"])
async def test_each_window_has_an_allowed_language(serve: Serve, polyglot: Recogniser, mode: str) -> None:
    transcriber = await serve(loaded=polyglot.model)
    started, *rest = await transcriber.events("minute.flac", mode=mode, multilingual=True, languages=["cy", "fr", "ja"])
    assert isinstance(started, Started)
    assert {started.language, *(segment.language for segment in segments(rest))} <= {"cy", "fr", "ja"}
    assert segments(rest)


def test_english_is_not_translated_into_english(polyglot: Recogniser) -> None:
    assert decode(polyglot, [SPEECH], "en", task="translate") == decode(polyglot, [SPEECH], "en")
    windows = decode(polyglot, [SPEECH, LOW], None, task="translate", languages=("en",))
    assert [texts_and_times(one) for one in windows] == [
        texts_and_times(one) for one in decode(polyglot, [SPEECH, LOW], None, languages=("en",))
    ]


async def test_each_segment_has_its_language_over_http(
    serve: Serve, polyglot: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcriber = await serve(loaded=polyglot.model, audio_context="full")
    windows: list[MelWindow] = []
    decode = transcriber.service.recogniser.decode

    def noted(calls: Sequence[Call]) -> list[Outcome]:
        windows.extend(call.window for call in calls)
        return decode(calls)

    monkeypatch.setattr(transcriber.service.recogniser, "decode", noted)
    events = await transcriber.events("short.flac", multilingual=True)
    (window,) = windows
    assert segments(events)[0].language == polyglot.detect_language(window.features)[0]


def test_a_language_that_only_newer_models_have_is_refused(polyglot: Recogniser) -> None:
    with pytest.raises(BadRequest, match="does not know 'yue'"):
        polyglot.check(TranscribeOptions(language="yue"))
    with pytest.raises(BadRequest, match="does not know yue"):
        polyglot.check(TranscribeOptions(languages=("de", "yue")))


def test_an_english_only_model_translates_what_is_said_to_be_english(mini: LoadedModel) -> None:
    recogniser = Recogniser(mini)
    recogniser.check(TranscribeOptions(task="translate", language="en"))
    with pytest.raises(BadRequest, match="cannot translate"):
        recogniser.check(TranscribeOptions(task="translate"))


def test_an_english_only_model_refuses_to_detect_languages(mini: LoadedModel) -> None:
    with pytest.raises(BadRequest, match="multilingual: mini knows English only; leave it out"):
        Recogniser(mini).check(TranscribeOptions(multilingual=True))
