"""Many languages, with a model of random weights: it detects a language in any sound, and writes random words."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from reelscribe.contracts.events import Started
from reelscribe.contracts.transcriber import TranscribeOptions
from reelscribe.errors import BadRequest
from tests.transcriber import sounds
from tests.transcriber.conftest import Serve, decoded, segments
from tests.transcriber.peer import Script, recording, wav
from tools.random_model import make_model
from transcriber.audio.mel import Features, MelWindow
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


def test_sequential_mode_reports_the_language_of_each_window(polyglot: Recogniser) -> None:
    (segment, *_) = polyglot.decode_long_form(SPEECH, DecodingOptions(None), [], False)
    assert segment.language == polyglot.detect_language(polyglot.features(SPEECH))[0]


def detect_in_turn(recogniser: Recogniser, probabilities: list[float], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the model detect one language after the other with these probabilities; those it has detected."""
    detected: list[str] = []

    def detect(features: object) -> tuple[str, float]:
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
        found = await detection.add(SPEECH)
    assert (found[0], len(detected)) == (language, windows)


async def test_the_language_is_that_of_the_first_speech_not_of_the_silence_before_it(
    serve: Serve, script: Script, polyglot: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def detect(features: Features) -> tuple[str, float]:
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


async def test_silence_alone_ends_with_some_language(serve: Serve, polyglot: Recogniser) -> None:
    transcriber = await serve(loaded=polyglot.model)
    started, *_, finished = await transcriber.events("silence.flac", vad=False)
    assert isinstance(started, Started)
    assert started.language == polyglot.detect_language(polyglot.features(recording("silence.flac")))[0]
    assert finished.event == "finished"


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


def test_an_english_only_model_refuses_to_detect_languages(mini: LoadedModel) -> None:
    with pytest.raises(BadRequest, match="multilingual: mini knows English only; leave it out"):
        Recogniser(mini).check(TranscribeOptions(multilingual=True))
