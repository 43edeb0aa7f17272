"""Of a loop of the decoder one repetition is kept."""

import pytest

from transcriber.decoding.repetition import without_loops

END = 1000


def kept(tokens: list[int]) -> list[int]:
    return [tokens[position] for position in without_loops(tokens, END)]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([7, 7, 1, 1, 2], [7, 7, 1, 1, 2]),
        ([1, 5, 5, 5, 5], [1, 5]),
        ([9, 1, 2, 3, 1, 2, 3, 1, 2, 3], [9, 1, 2, 3]),
        ([1, 2, 1, 2, 1, 2, 1], [1, 2]),
        ([1, 2, 1, 2, 1, 2, 8], [1, 2, 8]),
        ([1, 2, 1, 2, 1, 2, 1, 3], [1, 2, 1, 3]),
        ([5, 5, 5, 6, 6, 6], [5, 6]),
    ],
)
def test_what_is_said_three_times_in_a_row_is_kept_once(tokens: list[int], expected: list[int]) -> None:
    assert kept(tokens) == expected


def test_a_looping_sentence_keeps_the_end_of_its_first_repetition() -> None:
    loop = [1000, 1, 2, 1100, 1100, 1, 2, 1200, 1200, 1, 2, 1300, 1300, 4, 1400]
    assert kept(loop) == [1000, 1, 2, 1100, 1300, 1300, 4, 1400]
