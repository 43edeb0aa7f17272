"""What a word is, for the index of segments, for queries and for highlighting alike.

PostgreSQL's own parser is not used. With the locale C it folds no letter beyond ASCII and takes “quotes” for letters:
it would differ from server to server; and everywhere it makes one word of "and/or", and of a Chinese sentence.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from reelscribe.text.running_text import is_unspaced

LEAD_WORDS = 7
"""Words before a segment that its index entry knows too, so that a phrase is found across the border of segments."""
LONGEST_WORD = 64
MOST_WORDS = 2000
"""Of one segment; more than anyone says in 30 s, and less than a tsvector can hold."""

_ASCII_WORD = re.compile(r"[A-Za-z0-9]+")


class FoldedWord(NamedTuple):
    """A word as it is compared, and where it is in the text."""

    folded: str
    start: int
    end: int


def split(text: str) -> list[FoldedWord]:
    """The words of a text: runs of letters, digits and their marks, without regard to case and width.

    In scripts written without spaces each letter counts as a word, and a word of theirs is a phrase.
    """
    if text.isascii():
        return [
            FoldedWord(found[0].lower()[:LONGEST_WORD], found.start(), found.end())
            for found in _ASCII_WORD.finditer(text)
        ]
    words = []
    for (belongs, unspaced), letters in groupby(enumerate(text), lambda letter: _kind(letter[1])):
        if belongs:
            places = [place for place, _ in letters]
            runs = [(place, place + 1) for place in places] if unspaced else [(places[0], places[-1] + 1)]
            words += [FoldedWord(_folded(text[start:end]), start, end) for start, end in runs]
    return words


def vectors(texts: Iterable[str], before: Iterable[str] = ()) -> list[str]:
    """The index entries of consecutive segments, as PostgreSQL reads a ``tsvector``.

    A segment's own words have the weight A, those that lead to it none.

    Args:
        before: texts of the segments before the first of these; more than the last :data:`LEAD_WORDS` words are not
            needed.
    """
    lead = [word.folded for text in before for word in split(text)][-LEAD_WORDS:]
    made = []
    for text in texts:
        own = [word.folded for word in split(text)[:MOST_WORDS]]
        entries = [f"{quoted(word)}:{place}" for place, word in enumerate(lead, start=1)]
        entries += [f"{quoted(word)}:{place}A" for place, word in enumerate(own, start=len(lead) + 1)]
        made.append(" ".join(entries))
        lead = (lead + own)[-LEAD_WORDS:]
    return made


def quoted(word: str) -> str:
    """The word as a lexeme of a ``tsvector`` or ``tsquery``."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def occurrences(wanted: Sequence[str], prefix: bool, text: str) -> list[tuple[int, int]]:
    """Where these words follow each other in the text, as character offsets; ``prefix``: the last is a beginning."""
    words = split(text)
    found = []
    for first in range(len(words) - len(wanted) + 1):
        *begin, last = [word.folded for word in words[first : first + len(wanted)]]
        if begin == list(wanted[:-1]) and (last.startswith(wanted[-1]) if prefix else last == wanted[-1]):
            found.append((words[first].start, words[first + len(wanted) - 1].end))
    return found


def _kind(letter: str) -> tuple[bool, bool]:
    if letter.isascii():
        return letter.isalnum(), False
    return letter.isalnum() or unicodedata.category(letter).startswith("M"), is_unspaced(letter)


def _folded(word: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())[:LONGEST_WORD]
