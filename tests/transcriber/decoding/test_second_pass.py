"""Which windows are decoded again in halves, and when the halves are taken."""

from collections.abc import Sequence

import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from tests.transcriber.conftest import truth, words_wrong
from tests.transcriber.peer import SPEECH
from transcriber.audio.mel import FRAMES_PER_SECOND, MelWindow
from transcriber.decoding import second_pass
from transcriber.decoding.options import DecodingOptions
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.second_pass import quality_score, run_second_pass
from transcriber.decoding.segments import DecodedSegment
from transcriber.model.loading import LoadedModel

END_OF_TEXT = 1000


def window(seconds: float = 30.0, pauses: tuple[float, ...] | None = (11.0, 16.0, 25.0)) -> MelWindow:
    """Its features count its frames."""
    return MelWindow(np.tile(np.arange(3000, dtype=np.float32), (80, 1)), seconds, pauses)


def segment(start: float, end: float, tokens: Sequence[int], avg_logprob: float = -0.2) -> DecodedSegment:
    return DecodedSegment(
        id=0, seek=0, start=start, end=end, text="".join(map(chr, tokens)), tokens=list(tokens),
        avg_logprob=avg_logprob, compression_ratio=1.0, no_speech_prob=0.0, words=None, temperature=0.0,
    )  # fmt: skip


COMPLETE = [segment(0, 14, range(40)), segment(14.5, 30, range(40, 80))]
SKIPPED = [segment(0, 10, range(30)), segment(14.5, 30, range(40, 80))]
TWICE = [segment(0, 14, range(40)), segment(14.5, 30, range(36, 40))]


def test_the_score_is_0_if_all_speech_is_covered_once() -> None:
    assert quality_score(window(), COMPLETE, END_OF_TEXT) == 0


def test_speech_that_no_segment_covers_makes_the_score_worse() -> None:
    assert quality_score(window(), SKIPPED, END_OF_TEXT) == pytest.approx(2 * 4.5)
    assert quality_score(window(), COMPLETE[:1], END_OF_TEXT) == pytest.approx(2 * 16)
    assert quality_score(window(), [], END_OF_TEXT) == pytest.approx(2 * 30)


def test_a_repeated_phrase_makes_the_score_worse_whatever_timestamps_lie_between() -> None:
    assert quality_score(window(), TWICE, END_OF_TEXT) == 4
    with_timestamps = [segment(0, 14, [*range(40), 1500]), segment(14.5, 30, [1501, *range(36, 40)])]
    assert quality_score(window(), with_timestamps, END_OF_TEXT) == 4


def test_pauses_do_not_count_as_speech_left_out() -> None:
    assert quality_score(window(pauses=None), SKIPPED, END_OF_TEXT) == 0


def test_a_window_with_a_poor_score_is_cut_at_the_pause_next_to_its_middle() -> None:
    halves: list[MelWindow] = []

    def decode(windows: Sequence[MelWindow]) -> list[list[DecodedSegment]]:
        halves.extend(windows)
        return [[segment(0, half.seconds, range(40))] for half in windows]

    (found,) = run_second_pass([window()], [SKIPPED], decode, END_OF_TEXT)
    first, second = halves
    assert (first.seconds, second.seconds) == (16, 14)
    assert first.pauses == (11,)
    assert second.pauses == (9,)
    assert first.features.shape == second.features.shape == (80, 3000)
    assert first.features[0, 16 * FRAMES_PER_SECOND - 1] == 16 * FRAMES_PER_SECOND - 1
    assert second.features[0, 0] == 16 * FRAMES_PER_SECOND
    assert [(one.start, one.end) for one in found] == [(0, 16), (16, 30)]


def test_halves_that_are_no_better_are_not_taken() -> None:
    (found,) = run_second_pass([window()], [SKIPPED], lambda some: [[] for _ in some], END_OF_TEXT)
    assert found == SKIPPED


def test_halves_that_are_only_guesses_are_not_taken() -> None:
    def guess(windows: Sequence[MelWindow]) -> list[list[DecodedSegment]]:
        return [[segment(0, half.seconds, range(40), avg_logprob=-1.2)] for half in windows]

    assert run_second_pass([window()], [SKIPPED], guess, END_OF_TEXT) == [SKIPPED]


def test_a_window_in_which_the_model_finds_no_speech_is_left_alone() -> None:
    def talkative(windows: Sequence[MelWindow]) -> list[list[DecodedSegment]]:
        return [[segment(0, half.seconds, range(40))] for half in windows]

    assert run_second_pass([window()], [[]], talkative, END_OF_TEXT) == [[]]


def test_a_long_pause_is_no_speech_left_out_if_the_request_allows_it() -> None:
    assert quality_score(window()._replace(longest_pause=5.0), SKIPPED, END_OF_TEXT) == 0


def test_of_two_with_equal_scores_the_more_probable_one_is_taken() -> None:
    def first_left_out(windows: Sequence[MelWindow], avg_logprob: float) -> list[list[DecodedSegment]]:
        left_out = 4.5 if windows[0].pauses == (11,) else 0
        return [[segment(left_out, half.seconds, range(40), avg_logprob)] for half in windows]

    surer = run_second_pass([window()], [SKIPPED], lambda some: first_left_out(some, -0.1), END_OF_TEXT, cuts=1)
    less_sure = run_second_pass([window()], [SKIPPED], lambda some: first_left_out(some, -0.3), END_OF_TEXT, cuts=1)
    assert surer != [SKIPPED]
    assert less_sure == [SKIPPED]


def test_a_window_ends_up_in_quarters_at_most() -> None:
    asked: list[float] = []

    def barely(windows: Sequence[MelWindow]) -> list[list[DecodedSegment]]:
        asked.extend(half.seconds for half in windows)
        return [[segment(0, half.seconds - 1.8, range(40))] for half in windows]

    run_second_pass([window(pauses=())], [SKIPPED], barely, END_OF_TEXT)
    assert sorted(asked) == [7.5, 7.5, 7.5, 7.5, 15, 15]


def test_halves_that_are_no_better_are_not_cut_again() -> None:
    asked: list[float] = []

    def hardly(windows: Sequence[MelWindow]) -> list[list[DecodedSegment]]:
        asked.extend(half.seconds for half in windows)
        return [[segment(0, half.seconds - 4.5, range(40))] for half in windows]

    assert run_second_pass([window(pauses=())], [SKIPPED], hardly, END_OF_TEXT) == [SKIPPED]
    assert asked == [15, 15]


def test_the_model_gets_no_more_windows_in_one_call_than_before() -> None:
    asked: list[int] = []

    def barely(windows: Sequence[MelWindow]) -> list[list[DecodedSegment]]:
        asked.append(len(windows))
        return [[segment(0, 1, range(40))] for _ in windows]

    run_second_pass([window()] * 4, [SKIPPED] * 4, barely, END_OF_TEXT)
    assert max(asked) == 4


def test_fewer_words_are_wrong_with_it(mini: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences without a pause between them, which are confused in a single pass."""
    recogniser, sound = Recogniser(mini), decode_audio(str(SPEECH / "ten_minutes.ogg"))
    sentences = truth("ten_minutes.ogg")["segments"][:60]
    windows: list[MelWindow] = []
    said: list[str] = []
    for first in range(0, 60, 10):
        ten = sentences[first : first + 10]
        spoken = [sound[int((one["start"] - 0.1) * 16_000) : int((one["end"] + 0.1) * 16_000)] for one in ten]
        audio = np.concatenate(spoken)[: 30 * 16_000]
        windows.append(MelWindow(recogniser.features(audio), len(audio) / 16_000, ()))
        said.append(" ".join(one["text"] for one in ten))

    def errors() -> float:
        found = recogniser.decode(windows, DecodingOptions("en"))
        texts = [" ".join(segment.text for segment in segments) for segments in found]
        return words_wrong(said, texts)

    with_it = errors()
    monkeypatch.setattr(second_pass, "POOR_SCORE", float("inf"))
    assert with_it < errors()
