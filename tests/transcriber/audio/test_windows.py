"""A stream is cut at pauses into windows that hold all of its speech, and little else."""

import random
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from faster_whisper.vad import VadOptions, get_speech_timestamps, get_vad_model

from tests.conftest import THOROUGH
from tests.transcriber.peer import recording
from transcriber.audio import windows as windows_module
from transcriber.audio.vad import SAMPLE_RATE, Samples, SpeechProbabilities
from transcriber.audio.windows import (
    MIN_SHARE,
    SHORT_PAUSE_MS,
    VAD_OPTIONS,
    GaplessWindows,
    SpeechWindows,
    Window,
    Windows,
)

CASES = [("ten_minutes.ogg", SAMPLE_RATE)] + [
    (name, block) for name in ("short.flac", "minute.flac", "silence.flac") for block in (SAMPLE_RATE, 7777, 10**9)
]
STRETCHES = VadOptions(min_silence_duration_ms=SHORT_PAUSE_MS, speech_pad_ms=0)
MARGIN = VAD_OPTIONS.speech_pad_ms * SAMPLE_RATE // 1000


def cut(windows: Windows, audio: Samples, block: int) -> list[Window]:
    found = [window for start in range(0, len(audio), block) for window in windows.feed(audio[start : start + block])]
    return found + windows.finish()


@cache
def windows_of(name: str) -> list[Window]:
    return cut(SpeechWindows(25, 0.0), recording(name), SAMPLE_RATE)


def times(window: Window) -> list[tuple[int, int]]:
    return [(piece.start, piece.end) for piece in window.timeline.pieces]


def speech_of(windows: list[Window]) -> list[tuple[float, float]]:
    """The stretches of speech of all windows, in seconds of the recording."""
    return [window.timeline.word_span(*stretch) for window in windows for stretch in window.speech]


def talk() -> Samples:
    """100 s of talk without a pause: the parts where speech is certain, end to end."""
    audio = recording("minute.flac")
    probabilities = get_vad_model()(audio[: len(audio) // 512 * 512])
    certain = audio[: len(probabilities) * 512].reshape(-1, 512)[probabilities > 0.9].reshape(-1)
    return np.tile(certain, 4)[: 100 * SAMPLE_RATE]


def test_probabilities_of_a_stream_are_those_of_the_complete_file() -> None:
    audio = recording("minute.flac")
    stream = SpeechProbabilities()
    probabilities = [one for start in range(0, len(audio), 7777) for one in stream.feed(audio[start : start + 7777])]
    complete = get_vad_model()(audio[: len(probabilities) * 512])
    assert probabilities == pytest.approx(complete.tolist(), abs=1e-4)


@pytest.mark.parametrize(("name", "block"), CASES)
def test_all_speech_of_the_complete_file_is_in_the_windows(name: str, block: int) -> None:
    audio = recording(name)
    expected = [
        (one["start"] / SAMPLE_RATE, one["end"] / SAMPLE_RATE) for one in get_speech_timestamps(audio, STRETCHES)
    ]
    whole = windows_of(name) if block == SAMPLE_RATE else cut(SpeechWindows(25, 0.0), audio, block)
    found = speech_of(whole)
    kept = [(start, end) for start, end in found if end - start >= 0.3]
    wanted = [(start, end) for start, end in expected if end - start >= 0.3]
    assert np.array(kept) == pytest.approx(np.array(wanted), abs=0.04)


@pytest.mark.parametrize("block", [SAMPLE_RATE, 7777, 10**9])
def test_how_a_stream_arrives_changes_nothing(block: int) -> None:
    audio = recording("minute.flac")
    found, whole = cut(SpeechWindows(25, 0.0), audio, block), cut(SpeechWindows(25, 0.0), audio, 10**9)
    assert [times(window) for window in found] == [times(window) for window in whole]
    assert all(np.array_equal(one.audio, other.audio) for one, other in zip(found, whole, strict=True))


@pytest.mark.parametrize("name", ["minute.flac", "ten_minutes.ogg"])
def test_a_window_is_audio_of_the_recording_and_no_longer_than_allowed(name: str) -> None:
    audio, windows = recording(name), windows_of(name)
    assert all(window.seconds <= 25 for window in windows)
    for window in windows:
        assert np.array_equal(window.audio, np.concatenate([audio[start:end] for start, end in times(window)]))
    assert all(
        before <= after for before, after in pairwise(time for one in windows for two in times(one) for time in two)
    )


def test_a_window_ends_in_the_longest_pause_of_its_last_part() -> None:
    windows = windows_of("ten_minutes.ogg")
    for window, following in pairwise(windows):
        pause = following.timeline.pieces[0].start - window.timeline.pieces[-1].end
        assert pause >= 0
        chosen = following.speech[0][0] + (window.seconds - window.speech[-1][1]) + pause / SAMPLE_RATE
        later = [later[0] - earlier[1] for earlier, later in pairwise(window.speech) if earlier[1] > MIN_SHARE * 25]
        assert chosen >= max(later, default=0) - 0.04
    assert all(window.seconds > MIN_SHARE * 25 - 1 for window in windows[:-1])


def test_long_silence_is_left_out_but_for_what_is_kept_around_speech() -> None:
    short = recording("short.flac")
    audio = np.concatenate((short, np.zeros(60 * SAMPLE_RATE, np.float32), short))
    (window,) = cut(SpeechWindows(25, 0.0), audio, SAMPLE_RATE)
    (first, second) = times(window)
    joint = (first[1] - first[0]) / SAMPLE_RATE
    before = max(end for _, end in window.speech if end <= joint)
    behind = min(start for start, _ in window.speech if start >= joint)
    assert behind - before == pytest.approx(2 * 0.8, abs=0.04)
    assert second[0] > len(short) + 60 * SAMPLE_RATE - MARGIN


def test_speech_without_a_pause_is_cut_all_the_same_and_whole() -> None:
    audio = talk()
    windows = cut(SpeechWindows(25, 0.0), audio, 5000)
    assert all(window.seconds <= 25 for window in windows)
    spoken = sum(end - start for start, end in speech_of(windows))
    whole = get_speech_timestamps(audio, STRETCHES)
    assert spoken == pytest.approx(sum(one["end"] - one["start"] for one in whole) / SAMPLE_RATE, rel=0.01)


def test_no_more_audio_is_kept_than_the_open_window_needs() -> None:
    short = recording("short.flac")
    quiet = np.zeros(120 * SAMPLE_RATE, np.float32)
    for audio in (recording("ten_minutes.ogg"), np.concatenate((short, quiet, short, quiet))):
        windows = SpeechWindows(25, 0.0)
        kept = []
        for start in range(0, len(audio), SAMPLE_RATE):
            windows.feed(audio[start : start + SAMPLE_RATE])
            kept.append(sum(len(block) for _, block in windows._tape._blocks))
        assert max(kept) < 32 * SAMPLE_RATE


def test_a_window_may_be_resumed_from_in_silence_before_the_next_one() -> None:
    *_, first, second = cut(SpeechWindows(25, 0.0), recording("minute.flac"), SAMPLE_RATE)
    assert 0 <= times(second)[0][0] / SAMPLE_RATE - first.resume < 0.032
    assert second.resume == 60.0


def test_times_in_a_window_map_back_to_the_recording() -> None:
    short = recording("short.flac")
    audio = np.concatenate((short, np.zeros(60 * SAMPLE_RATE, np.float32), short))
    (window,) = cut(SpeechWindows(25, 100.0), audio, SAMPLE_RATE)
    (first, second) = times(window)
    joint = (first[1] - first[0]) / SAMPLE_RATE
    span = window.timeline.span
    assert span(0, joint) == pytest.approx((100 + first[0] / SAMPLE_RATE, 100 + first[1] / SAMPLE_RATE), abs=0.01)
    assert span(joint + 0.1, 99) == pytest.approx(
        (100 + second[0] / SAMPLE_RATE + 0.1, 100 + second[1] / SAMPLE_RATE), abs=0.01
    )


def test_without_vad_every_sample_is_in_one_window_of_at_most_30_s() -> None:
    audio = recording("minute.flac")
    found = cut(GaplessWindows(30, 0.0), audio, 7777)
    assert np.array_equal(np.concatenate([window.audio for window in found]), audio)
    assert all(20 <= window.seconds <= 30 for window in found[:-1])


def test_without_vad_windows_are_cut_in_silence() -> None:
    audio = recording("minute.flac")
    probabilities = get_vad_model()(np.pad(audio, (0, 512 - len(audio) % 512)))
    for window in cut(GaplessWindows(30, 0.0), audio, SAMPLE_RATE)[:-1]:
        assert probabilities[int(window.resume * SAMPLE_RATE) // 512 - 1] < 0.1


def test_vad_options_change_which_silence_is_left_out_and_what_is_kept_around_speech() -> None:
    audio = recording("minute.flac")
    options = VadOptions(min_silence_duration_ms=400, speech_pad_ms=50, threshold=0.7)
    found = cut(SpeechWindows(25, 0.0, options), audio, 7777)
    pieces = [time for window in found for time in times(window)]
    assert len(pieces) > len(found)
    assert all(later[0] - earlier[1] >= 0.3 * SAMPLE_RATE for earlier, later in pairwise(pieces) if later != earlier)
    assert sum(end - start for start, end in pieces) < 0.9 * len(audio)


@pytest.mark.parametrize("number", [1, 7, 12])
def test_windows_after_a_resume_are_those_of_the_uninterrupted_stream(number: int) -> None:
    audio = recording("ten_minutes.ogg")
    complete = windows_of("ten_minutes.ogg")
    resume = round(complete[number].resume, 3)
    resumed = cut(SpeechWindows(25, resume), audio[round(resume * SAMPLE_RATE) :], SAMPLE_RATE)
    for expected, found in zip(complete[number + 1 :], resumed, strict=True):
        shifted = [(start + resume * SAMPLE_RATE, end + resume * SAMPLE_RATE) for start, end in times(found)]
        assert np.array(shifted) == pytest.approx(np.array(times(expected)), abs=0.1 * SAMPLE_RATE)


def test_without_vad_each_window_knows_its_silence_and_its_speech() -> None:
    (window,) = cut(GaplessWindows(30, 0.0), recording("short.flac"), SAMPLE_RATE)
    assert window.timeline.is_silent(3.7, 4.2)
    assert not window.timeline.is_silent(0.5, 7.5)
    assert window.speech[0][0] == pytest.approx(0.3, abs=0.2)
    assert not [one for one in window.speech if one[0] < 4 < one[1]]


def test_silence_is_silent_up_to_its_very_end() -> None:
    (window,) = cut(GaplessWindows(30, 0.0), np.zeros(12 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    assert window.timeline.is_silent(12.0, 12.0)
    assert window.speech == ()


class Scripted:
    """Probabilities of speech that are given, not judged."""

    def __init__(self, probabilities: list[float]) -> None:
        self._left = list(probabilities)
        self._rest = 0

    def feed(self, samples: Samples) -> list[float]:
        frames, self._rest = divmod(self._rest + len(samples), 512)
        found, self._left = self._left[:frames], self._left[frames:]
        return found

    def finish(self) -> list[float]:
        return self._left[:1]


@pytest.mark.parametrize("seed", range(100 if THOROUGH else 25))
def test_whatever_the_options_windows_are_in_order_whole_and_short_enough(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    probabilities = list(np.repeat([0.9, 0.02] * 200, [chance.randrange(1, 60) for _ in range(400)]))
    audio = np.arange(512 * (len(probabilities) - 2) + 300, dtype=np.float32)
    monkeypatch.setattr(windows_module, "SpeechProbabilities", lambda: Scripted(probabilities))
    options = VadOptions(
        min_silence_duration_ms=chance.choice([0, 160, 500, 3000, 5000]),
        speech_pad_ms=chance.choice([0, 30, 400, 800, 1000]),
    )
    found = cut(SpeechWindows(25, 0.0, options), audio, chance.randrange(1000, 50_000))
    assert found
    last = 0
    for window in found:
        assert window.seconds <= 25.05
        assert np.array_equal(window.audio, np.concatenate([audio[start:end] for start, end in times(window)]))
        for start, end in times(window):
            assert last <= start < end
            last = end
        assert window.resume * SAMPLE_RATE >= last - 512
        assert window.speech and all(0 <= start < end <= window.seconds + 1e-6 for start, end in window.speech)
