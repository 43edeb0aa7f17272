"""The words of segments, with their times and widths."""

import pytest
from rich.cells import cell_len

from reelscribe.contracts.events import Segment, Word
from reelscribe.text.phrases import Begins
from reelscribe.text.spoken_words import pieces_of, width


def segment(text: str, words: list[Word] | None = None) -> Segment:
    return Segment(
        index=0, start=1, end=3, text=text, words=words,
        tokens=[], avg_logprob=0, no_speech_prob=0, compression_ratio=1,
    )  # fmt: skip


def test_words_without_times_share_those_of_their_segment_by_their_letters() -> None:
    assert [(piece.text, piece.start, piece.end) for piece in pieces_of(segment("four five"), "Three", "")] == [
        (" four", 1, pytest.approx(1.89, abs=0.01)),
        (" five", pytest.approx(1.89, abs=0.01), 3),
    ]


def test_words_keep_their_own_times() -> None:
    words = [Word(start=1, end=1.2, word=" To", probability=1), Word(start=2, end=3, word=" be.", probability=1)]
    found = list(pieces_of(segment("To be.", words), "", "en"))
    assert [(piece.text, piece.start, piece.end) for piece in found] == [("To", 1, 1.2), (" be.", 2, 3)]
    assert [piece.begins for piece in found] == [Begins.PHRASE, Begins.PHRASE]


@pytest.mark.parametrize("text", ["plain", "naïve", "今日は。", "ไทย", "e\u0301", "\uff21"])
def test_a_width_is_that_of_a_terminal(text: str) -> None:
    assert width(text) == cell_len(text)
