"""A stream is cut into the windows that faster-whisper makes of the complete file."""

import numpy as np
import pytest
from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps, get_vad_model

from tests.transcriber.peer import recording
from transcriber.audio.vad import SAMPLE_RATE, Samples, SpeechProbabilities
from transcriber.audio.windows import VAD_OPTIONS, GaplessWindows, SpeechWindows, Window, Windows

CASES = [("ten_minutes.ogg", SAMPLE_RATE)] + [
    (name, block) for name in ("short.flac", "minute.flac", "silence.flac") for block in (SAMPLE_RATE, 7777, 10**9)
]


def cut(windows: Windows, audio: Samples, block: int) -> list[Window]:
    found = [window for start in range(0, len(audio), block) for window in windows.feed(audio[start : start + block])]
    return found + windows.finish()


def times(window: Window) -> list[tuple[int, int]]:
    return [(piece.start, piece.end) for piece in window.timeline.pieces]


def test_probabilities_of_a_stream_are_those_of_the_complete_file() -> None:
    audio = recording("minute.flac")
    stream = SpeechProbabilities()
    probabilities = [one for start in range(0, len(audio), 7777) for one in stream.feed(audio[start : start + 7777])]
    complete = get_vad_model()(audio[: len(probabilities) * 512])
    assert probabilities == pytest.approx(complete.tolist(), abs=1e-4)


@pytest.mark.parametrize(("name", "block"), CASES)
def test_windows_of_a_stream_are_those_of_the_complete_file(name: str, block: int) -> None:
    audio = recording(name)
    pieces = get_speech_timestamps(audio, VAD_OPTIONS)
    expected, _ = collect_chunks(audio, pieces, max_duration=30)
    found = cut(SpeechWindows(30, 0.0), audio, block)
    assert [time for window in found for time in times(window)] == [(one["start"], one["end"]) for one in pieces]
    assert all(np.array_equal(window.audio, chunk) for window, chunk in zip(found, expected, strict=bool(pieces)))


def test_speech_without_a_pause_is_cut_as_in_the_complete_file() -> None:
    # 100 s of talk with no pause of 160 ms: the parts where speech is certain, end to end
    audio = recording("minute.flac")
    probabilities = get_vad_model()(audio[: len(audio) // 512 * 512])
    talk = audio[: len(probabilities) * 512].reshape(-1, 512)[probabilities > 0.9].reshape(-1)
    talk = np.tile(talk, 4)[: 100 * SAMPLE_RATE]
    pieces = get_speech_timestamps(talk, VAD_OPTIONS)
    found = cut(SpeechWindows(30, 0.0), talk, 5000)
    assert max(one["end"] - one["start"] for one in pieces) > 20 * SAMPLE_RATE
    assert [time for window in found for time in times(window)] == [(one["start"], one["end"]) for one in pieces]


def test_no_more_audio_is_kept_than_the_open_speech_needs() -> None:
    audio = recording("ten_minutes.ogg")
    windows = SpeechWindows(30, 0.0)
    kept = []
    for start in range(0, len(audio), SAMPLE_RATE):
        windows.feed(audio[start : start + SAMPLE_RATE])
        kept.append(windows._tape.end - windows._tape.start)
    assert max(kept) < 32 * SAMPLE_RATE


def test_a_window_may_be_resumed_from_in_silence_before_the_next_one() -> None:
    first, second = cut(SpeechWindows(30, 0.0), recording("minute.flac"), SAMPLE_RATE)
    assert 0 <= times(second)[0][0] / SAMPLE_RATE - first.resume < 0.032
    assert second.resume == 60.0


def test_times_in_a_window_map_back_to_the_recording() -> None:
    (window,) = cut(SpeechWindows(30, 100.0), recording("short.flac"), SAMPLE_RATE)
    (first, second) = times(window)
    joint = (first[1] - first[0]) / SAMPLE_RATE
    span = window.timeline.span
    assert span(0, joint) == pytest.approx((100.0, 100 + first[1] / SAMPLE_RATE), abs=0.01)
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


def test_vad_options_change_what_is_a_pause_and_what_is_kept_around_speech() -> None:
    audio = recording("minute.flac")
    options = VadOptions(max_speech_duration_s=30, min_silence_duration_ms=1000, speech_pad_ms=50, threshold=0.7)
    found = cut(SpeechWindows(30, 0.0, options), audio, 7777)
    pieces = get_speech_timestamps(audio, options)
    assert [time for window in found for time in times(window)] == [(one["start"], one["end"]) for one in pieces]


@pytest.mark.parametrize("number", [1, 7, 12])
def test_windows_after_a_resume_are_those_of_the_uninterrupted_stream(number: int) -> None:
    audio = recording("ten_minutes.ogg")
    complete = cut(SpeechWindows(30, 0.0), audio, SAMPLE_RATE)
    resume = round(complete[number].resume, 3)
    resumed = cut(SpeechWindows(30, resume), audio[round(resume * SAMPLE_RATE) :], SAMPLE_RATE)
    for expected, found in zip(complete[number + 1 :], resumed, strict=True):
        shifted = [(start + resume * SAMPLE_RATE, end + resume * SAMPLE_RATE) for start, end in times(found)]
        assert np.array(shifted) == pytest.approx(np.array(times(expected)), abs=0.1 * SAMPLE_RATE)


def test_without_vad_each_window_knows_its_silence() -> None:
    (window,) = cut(GaplessWindows(30, 0.0), recording("short.flac"), SAMPLE_RATE)
    assert window.timeline.is_silent(3.7, 4.2)
    assert not window.timeline.is_silent(0.5, 7.5)


def test_silence_is_silent_up_to_its_very_end() -> None:
    (window,) = cut(GaplessWindows(30, 0.0), np.zeros(12 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    assert window.timeline.is_silent(12.0, 12.0)
