"""Whether a reader sees anything of a text."""

import unicodedata

UNSEEN = ("Cc", "Cf", "Me", "Mn", "Zl", "Zp", "Zs")
"""Categories of Unicode: controls, marks on other letters, spaces."""
DRAWN_AS_NOTHING = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and a sign of other categories: Hangul fillers, and Braille without dots."""


def shows(text: str) -> bool:
    """Whether it has a character that is seen by itself: a zero width space is not."""
    return any(
        character not in DRAWN_AS_NOTHING and unicodedata.category(character) not in UNSEEN for character in text
    )
