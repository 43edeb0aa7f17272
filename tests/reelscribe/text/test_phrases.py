"""Words that belong to what follows."""

import pytest

from reelscribe.languages import NAMES
from reelscribe.text.phrases import LANGUAGES, Begins, begins


@pytest.mark.parametrize(
    ("word", "language", "found"),
    [
        (" because", "en", Begins.CLAUSE),
        ("\u201cBut", "en", Begins.CLAUSE),
        ("the", "en", Begins.PHRASE),
        ("house", "en", Begins.NOTHING),
        ("der", "de", Begins.PHRASE),
        ("der", "en", Begins.NOTHING),
        ("the", "", Begins.NOTHING),
        ("the", "zu", Begins.NOTHING),
        ("...", "en", Begins.NOTHING),
        ("", "en", Begins.NOTHING),
    ],
)
def test_what_a_word_begins(word: str, language: str, found: Begins) -> None:
    assert begins(word, language) is found


def test_languages_have_whispers_codes() -> None:
    assert set(LANGUAGES) <= set(NAMES)
