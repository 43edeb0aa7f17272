"""What is said of speech without words, and how parts of a recording add up."""

import pytest
from pydantic import ValidationError

from reelscribe.contracts.speech_without_words import MOST_STRETCHES, SpeechWithoutWords, Stretch, total


def without_words(*times: tuple[float, float], more: int = 0) -> SpeechWithoutWords:
    """These stretches, and some of 2 s that are not listed."""
    return SpeechWithoutWords(
        seconds=round(sum(end - start for start, end in times) + 2.0 * more, 2),
        count=len(times) + more,
        stretches=[Stretch(start=start, end=end) for start, end in times],
    )


ONE = without_words((59.9, 67.6))


@pytest.mark.parametrize(
    ("of", "sentence"),
    [
        (SpeechWithoutWords(), ""),
        (ONE, "7.7 s detected as speech without words at 0:59"),
        (without_words((5, 7), (3661.2, 3663.2)), "4.0 s detected as speech without words at 0:05, 1:01:01"),
        (SpeechWithoutWords(seconds=4, count=2), "4.0 s detected as speech without words"),
        (
            without_words((5, 7), (65, 67), (70, 72), (80, 82), more=9),
            "26.0 s detected as speech without words at 0:05, 1:05, 1:10 and 10 more",
        ),
    ],
)
def test_the_sentence_says_how_much_and_when(of: SpeechWithoutWords, sentence: str) -> None:
    assert of.sentence == sentence


def test_only_a_request_makes_it_incomplete() -> None:
    assert ONE.too_long(None) is None
    assert ONE.too_long(8) is None
    assert ONE.too_long(5) == f"{ONE.sentence}; the request allows 5 s"
    assert ONE.too_long(0) == f"{ONE.sentence}; the request allows 0 s"
    assert SpeechWithoutWords().too_long(0) is None


def test_parts_add_up_and_unknown_ones_add_nothing() -> None:
    assert total([without_words((1, 3)), None, ONE]) == without_words((1, 3), (59.9, 67.6))
    assert total([None, None]) is None
    assert total([]) is None


def test_a_sum_lists_no_more_than_its_parts_may() -> None:
    full = without_words(*((2.0 * number, 2.0 * number + 2) for number in range(MOST_STRETCHES)), more=5)
    both = total([full, full])
    assert both
    assert (both.count, len(both.stretches)) == (2 * MOST_STRETCHES + 10, MOST_STRETCHES)


def test_what_is_transcribed_again_is_taken_back() -> None:
    of = without_words((1, 3), (18, 22), (25, 28), more=2)
    assert of.before(20) == without_words((1, 3), (18, 20), more=2)
    assert ONE.before(10) == SpeechWithoutWords()
    assert ONE.before(100) == ONE


@pytest.mark.parametrize("changes", [{"seconds": float("nan")}, {"count": -1}, {"stretches": 101 * [ONE.stretches[0]]}])
def test_what_another_service_sends_is_bounded(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SpeechWithoutWords.model_validate({**ONE.model_dump(), **changes})
