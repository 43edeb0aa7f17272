"""What the accuracy bench counts."""

import pytest

from bench.recordings import Sentence
from bench.scores import join_errors, score

SAID = [
    Sentence(0.0, 2.0, "The green hammer was empty."),
    Sentence(3.0, 5.0, "Why was every lemon in my garden?"),
    Sentence(9.0, 11.0, "We never lost seven six seven potato."),
]


def test_a_correct_transcript_has_no_errors() -> None:
    assert score(SAID, SAID).errors == score(SAID, SAID).invented == 0


def test_case_punctuation_and_the_way_numbers_are_written_are_no_errors() -> None:
    transcribed = [
        Sentence(0.0, 11.0, "the GREEN hammer was empty. why was every lemon in my garden we never lost 767 potato")
    ]
    assert score(SAID, transcribed).errors == 0


def test_a_sentence_transcribed_twice_is_invented() -> None:
    transcribed = [*SAID[:2], SAID[1], SAID[2]]
    assert (score(SAID, transcribed).errors, score(SAID, transcribed).invented) == (7, 7)


def test_every_word_transcribed_in_silence_is_an_error() -> None:
    assert (score([], SAID[:1]).words, score([], SAID[:1]).errors) == (0, 5)


def test_times_are_compared_with_the_nearest_transcribed_ones() -> None:
    transcribed = [Sentence(0.1, 2.0, "The green hammer was empty."), Sentence(3.0, 11.4, "Why was every lemon")]
    assert sorted(score(SAID, transcribed).times_off) == pytest.approx([0.0, 0.0, 0.1, 0.4, 3.0, 6.0])


def test_words_lost_between_two_windows_are_lost_at_the_join() -> None:
    cut = SAID[1]._replace(end=4.0, text="Why was every lemon")
    found = join_errors(SAID, [[SAID[0], cut], [SAID[2]]])
    assert (found.joins, found.inserted, found.deleted) == (1, 0, 3)


def test_words_lost_in_the_middle_of_a_window_are_not_lost_at_a_join() -> None:
    transcribed = [[SAID[0]._replace(text="hammer was empty."), SAID[1]], [SAID[2]]]
    assert join_errors(SAID, transcribed).deleted == 0


def test_words_repeated_after_a_join_are_inserted_at_it() -> None:
    found = join_errors(SAID, [SAID[:2], [Sentence(5.0, 5.6, "my garden"), SAID[2]]])
    assert (found.inserted, found.deleted) == (2, 0)
