"""Speech of a recording that no segment covers, added up window by window."""

import pytest

from reelscribe.contracts.speech_without_words import MOST_STRETCHES
from transcriber.decoding.uncovered import Gap, Times, UncoveredSpeech, gaps


def stretches(uncovered: UncoveredSpeech) -> list[Times]:
    return [(stretch.start, stretch.end) for stretch in uncovered.report.stretches]


def of(speech: list[Times], *covered: Times) -> list[Times]:
    """What one window leaves."""
    uncovered = UncoveredSpeech()
    uncovered.add(speech, covered)
    return stretches(uncovered)


def test_gaps_are_what_segments_leave_with_the_speech_in_them() -> None:
    assert gaps([(1, 4), (5, 9)], [(6, 7), (2, 3)], 10) == [
        Gap(0.0, 2, [(1, 2)]),
        Gap(3, 6, [(3, 4), (5, 6)]),
        Gap(7, 10, [(7, 9)]),
    ]
    assert [gap.speech_seconds for gap in gaps([(1, 4), (5, 9)], [(6, 7), (2, 3)], 10)] == [1, 2, 2]


def test_segments_that_overlap_leave_nothing_between_them() -> None:
    assert of([(0, 30)], (0, 12), (10, 14), (11, 30)) == []


def test_speech_that_a_segment_covers_is_not_without_words() -> None:
    assert of([(1, 9)], (0.5, 9.5)) == []


def test_a_second_at_the_edge_of_a_segment_is_not_reported() -> None:
    assert of([(0, 10)], (1, 9)) == []
    assert of([(0, 10.2)], (1, 9)) == [(9, 10.2)]


def test_the_times_are_those_of_the_speech_not_of_the_gap() -> None:
    assert of([(0, 3), (5, 12), (20, 22)], (0, 3), (20, 22)) == [(5, 12)]


def test_a_short_pause_makes_no_two_of_it_and_a_long_one_does() -> None:
    assert of([(5, 7), (7.9, 10)]) == [(5, 10)]
    assert of([(5, 7), (8, 10)]) == [(5, 7), (8, 10)]


def test_a_pause_is_no_speech() -> None:
    assert of([(5, 5.5), (6.4, 6.8)]) == []  # 1.8 s from start to end, 0.9 s of them speech


def test_words_between_two_stretches_keep_them_apart() -> None:
    assert of([(0, 10)], (4.8, 5.2)) == [(0, 4.8), (5.2, 10)]


def test_what_continues_in_the_next_window_is_one_stretch() -> None:
    uncovered = UncoveredSpeech()
    for start in (0, 25, 50):
        uncovered.add([(start, start + 25)], [])
        assert stretches(uncovered) == [(0, start + 25)]
    uncovered.add([(75, 80)], [(75, 80)])
    uncovered.add([(81, 90)], [])
    assert stretches(uncovered) == [(0, 75), (81, 90)]
    assert (uncovered.report.seconds, uncovered.report.count) == (84, 2)


def test_two_short_ends_that_meet_between_windows_are_reported() -> None:
    uncovered = UncoveredSpeech()
    uncovered.add([(0, 24.9)], [(0, 24.2)])
    assert stretches(uncovered) == []
    uncovered.add([(25.2, 40)], [(25.9, 40)])
    assert stretches(uncovered) == [(24.2, 25.9)]


def test_the_list_is_bounded_and_the_sum_is_not() -> None:
    uncovered = UncoveredSpeech()
    for number in range(10 * MOST_STRETCHES):
        uncovered.add([(10 * number, 10 * number + 2)], [])
    report = uncovered.report
    assert (len(report.stretches), report.count) == (MOST_STRETCHES, 10 * MOST_STRETCHES)
    assert report.seconds == pytest.approx(20 * MOST_STRETCHES)
    assert report.stretches[-1].start == 10 * (MOST_STRETCHES - 1)
