"""What a reader sees nothing of."""

import pytest

from reelscribe.text.blank import shows


@pytest.mark.parametrize(
    "text", ["", " ", "\u200b", "\u2060\ufeff", "\xad", "\u00a0\u3000", "\u3164", "\u2800", "\u0301", "\x07"]
)
def test_what_is_drawn_as_nothing_does_not_show(text: str) -> None:
    assert not shows(text)


@pytest.mark.parametrize("text", ["a", ".", "\u200ba", "🐎", "👩\u200d🚀", "한", "نص", "é", "e\u0301"])
def test_letters_signs_and_pictures_show(text: str) -> None:
    assert shows(text)
