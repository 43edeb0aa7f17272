"""Which windows are decoded again, and which of the two is taken."""

from collections.abc import Sequence

import numpy as np
import pytest

from transcriber.audio.mel import MelWindow
from transcriber.decoding.second_pass import Outcome, Span, better, is_poor, left_out, quality_score
from transcriber.decoding.segments import DecodedSegment

END_OF_TEXT = 1000
WINDOW = MelWindow(np.zeros((80, 3000), np.float32), 30.0, ((0.5, 11), (11.5, 15), (16, 24), (25, 29.5)))


def outcome(*parts: tuple[float, float, Sequence[int]], avg_logprob: float = -0.2, temperature: float = 0.0) -> Outcome:
    segments = [
        DecodedSegment(
            id=0, seek=0, start=start, end=end, text="".join(map(chr, tokens)), tokens=list(tokens),
            avg_logprob=avg_logprob, compression_ratio=1.0, no_speech_prob=0.0, words=None, temperature=temperature,
        )
        for start, end, tokens in parts
    ]  # fmt: skip
    spans = [Span(start, end, sum(token < END_OF_TEXT for token in tokens)) for start, end, tokens in parts]
    return Outcome(segments, spans, 30.0)


COMPLETE = outcome((0, 15, range(40)), (15, 30, range(40, 80)))
SKIPPED = outcome((0, 10, range(30)), (16, 30, range(40, 80)))
TWICE = outcome((0, 15, range(40)), (15, 30, [*range(40, 76), *range(70, 76)]))
THIN = outcome((0, 30, range(20)))


def test_the_score_is_0_if_all_speech_is_covered_once() -> None:
    assert quality_score(WINDOW, COMPLETE, END_OF_TEXT) == 0
    assert not is_poor(WINDOW, COMPLETE, END_OF_TEXT)


def test_speech_that_no_segment_covers_makes_the_score_worse() -> None:
    assert quality_score(WINDOW, SKIPPED, END_OF_TEXT) == pytest.approx(2 * 6)
    assert left_out(WINDOW, SKIPPED) == [(10, 16)]
    assert is_poor(WINDOW, SKIPPED, END_OF_TEXT)


def test_speech_behind_the_last_segment_was_left_out_too() -> None:
    assert left_out(WINDOW, outcome((0, 15, range(40)))) == [(15, 30)]


def test_a_pause_is_no_speech_left_out() -> None:
    assert left_out(WINDOW, outcome((0.5, 15, range(40)), (16, 24, range(40, 60)), (25, 29.5, range(60, 80)))) == []


def test_without_voice_activity_detection_nothing_is_known_to_be_left_out() -> None:
    assert left_out(WINDOW._replace(speech=None), SKIPPED) == []


def test_a_segment_with_few_words_for_its_speech_hides_what_was_left_out() -> None:
    assert left_out(WINDOW, THIN) == []
    assert is_poor(WINDOW, THIN, END_OF_TEXT)


def test_a_repeated_phrase_makes_the_score_worse_whatever_timestamps_lie_between() -> None:
    assert quality_score(WINDOW, TWICE, END_OF_TEXT) == 6
    with_timestamps = outcome((0, 15, [*range(40), 1500]), (15, 30, [1501, *range(40, 76), 1600, *range(70, 76)]))
    assert quality_score(WINDOW, with_timestamps, END_OF_TEXT) == 6


def test_a_window_of_guesses_is_decoded_again() -> None:
    assert is_poor(WINDOW, outcome((0, 30, range(80)), avg_logprob=-0.9), END_OF_TEXT)


def test_a_window_in_which_the_model_finds_no_speech_is_left_alone() -> None:
    assert not is_poor(WINDOW, outcome(), END_OF_TEXT)


def test_the_better_one_is_taken() -> None:
    assert better(WINDOW, SKIPPED, COMPLETE, END_OF_TEXT) is COMPLETE
    assert better(WINDOW, COMPLETE, SKIPPED, END_OF_TEXT) is COMPLETE
    assert better(WINDOW, TWICE, THIN, END_OF_TEXT) is TWICE


def test_of_two_with_equal_scores_the_more_probable_one_is_taken() -> None:
    surer = outcome((0, 30, range(80)), avg_logprob=-0.1)
    assert better(WINDOW, COMPLETE, surer, END_OF_TEXT) is surer
    assert better(WINDOW, surer, COMPLETE, END_OF_TEXT) is surer


def test_guesses_are_not_taken_nor_is_silence() -> None:
    assert better(WINDOW, SKIPPED, outcome((0, 30, range(80)), avg_logprob=-1.2), END_OF_TEXT) is SKIPPED
    assert better(WINDOW, SKIPPED, outcome((0, 30, range(80)), temperature=0.8), END_OF_TEXT) is SKIPPED
    assert better(WINDOW, SKIPPED, outcome(), END_OF_TEXT) is SKIPPED
