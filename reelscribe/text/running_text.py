"""Segments of speech one after the other, as one text."""

from collections.abc import Iterable
from itertools import pairwise

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # 々〆〇
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)


def running_text(texts: Iterable[str]) -> str:
    """The texts in one line, without spaces around each of them; empty ones are left out."""
    said = ["", *filter(None, texts)]
    return "".join(space(before, after) + after for before, after in pairwise(said))


def space(before: str, after: str) -> str:
    """The space between two texts: none in scripts that are written without spaces, nor before the first text.

    The letters decide, not the language of the recording: a translation is in another one, and so are names.
    """
    edges = _letter(reversed(before)), _letter(after)
    return "" if not before or all(map(is_unspaced, edges)) else " "


def is_unspaced(letter: str) -> bool:
    """Whether it belongs to a script written without spaces between words."""
    return any(first <= ord(letter) <= last for first, last in _UNSPACED) if letter else False


def _letter(text: Iterable[str]) -> str:
    return next(filter(str.isalnum, text), "")
