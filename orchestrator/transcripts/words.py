"""The index entries of segments, terms of queries, and where these are in a text.

PostgreSQL's own parser is not used. With the locale C it folds no letter beyond ASCII and takes “quotes” for letters:
it would differ from server to server; and everywhere it makes one word of "and/or", and of a Chinese sentence.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

from orchestrator.transcripts.spelling import Unit, Word, fold, units

VERSION = 1
"""Of the entries that :func:`vectors` makes; stored with each. A change of what it makes raises it."""
LEAD_WORDS = 7
"""Words before a segment that its index entry knows too, so that a phrase is found across the border of segments."""
MOST_WORDS = 2000
"""Of one segment; more than anyone says in 30 s, and less than a tsvector can hold."""

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"


class Reading(NamedTuple):
    """The words of a text, taken apart and joined."""

    apart: list[Word]
    joined: list[Word]


def read(text: str) -> Reading:
    """Both readings of a text."""
    return _reading(units(text))


def _reading(found: Iterable[Unit]) -> Reading:
    found = list(found)
    return Reading([word for unit in found for word in unit.apart], [word for unit in found for word in unit.joined])


class Term(NamedTuple):
    """Words that must follow each other, in one of two readings; ``prefix``: the last one is only a beginning."""

    apart: tuple[str, ...]
    joined: tuple[str, ...]
    prefix: bool = False

    def as_tsquery(self, pairs: bool = True) -> str:
        """For PostgreSQL. The phrase must end in the segment itself; it may begin before it.

        Args:
            pairs: entries without the pairs of words are not looked for.
        """
        return " | ".join(
            f"({_phrase(words, self.prefix, pairs)})" for words in dict.fromkeys((self.apart, self.joined))
        )

    def occurrences(self, reading: Reading) -> set[tuple[int, int]]:
        """Where it is in a text, as character offsets."""
        return {
            mark
            for wanted in {self.apart, self.joined}
            for words in reading
            for mark in _occurrences(wanted, self.prefix, words)
        }


def marks(terms: Sequence[Term], text: str) -> list[tuple[int, int]] | None:
    """Where the terms are in a text, as character offsets; None if one of them is not."""
    reading = read(text)
    found = [term.occurrences(reading) for term in terms]
    return sorted(set().union(*found)) if all(found) else None


def parse(query: str) -> list[Term]:
    """The terms of a query, all of which a segment must hold: ``word``, ``beginning*``, ``"exact phrase"``.

    Raises:
        ValueError: it holds no word.
    """
    terms = []
    for text in re.findall(r'"[^"]*"?|[^"]+', re.sub("[“”„«»]", '"', query)):
        pieces = [(units(text), text)] if text.startswith('"') else _pieces(text)
        for found, piece in pieces:
            if found:
                terms.append(_term(_reading(found), text, piece.rstrip('" ').endswith("*")))
    if not terms:
        raise ValueError('give at least one word, such as: horse, or hors*, or "happy horse"')
    return list(dict.fromkeys(terms))


def _term(reading: Reading, text: str, prefix: bool) -> Term:
    ways = [[word.folded for word in way] for way in reading]
    if prefix:  # "ok*" does not only mean "okay"
        for folded, way in zip(ways, reading, strict=True):
            written = fold("".join(filter(str.isalnum, text[way[-1].start : way[-1].end])))
            folded[-1] = written if written and folded[-1].startswith(written) else folded[-1]
    return Term(tuple(ways[0]), tuple(ways[1]), prefix)


def _pieces(text: str) -> Iterator[tuple[list[Unit], str]]:
    """What is written without a space, or means one thing in spite of it, with its units."""
    found = units(text)
    while found:
        length = next(
            (
                number
                for number, (one, other) in enumerate(pairwise(found), start=1)
                if re.search(r"\s", text[one.end : other.start])
            ),
            len(found),
        )
        piece, found = found[:length], found[length:]
        written = text[piece[0].start : found[0].start if found else len(text)].rstrip()
        if written != "&":  # a person may take it for an operator
            yield piece, written


def vectors(texts: Iterable[str], before: Iterable[str] = ()) -> list[str]:
    """The index entries of consecutive segments, as PostgreSQL reads a ``tsvector``.

    An entry has the words that lead to the segment and its own, which have the weight A: as they are taken apart, and
    after these as they are joined, if that differs. It also has each pair of words that follow each other, as a short
    word of its own: the index then finds the few segments of a phrase of frequent words.

    Args:
        before: texts of the segments before the first of these; more than the last :data:`LEAD_WORDS` words are not
            needed.
    """
    led = [_folded(text) for text in before]
    leads = [[word for way in led for word in way[number]][-LEAD_WORDS:] for number in range(2)]
    made = []
    for text in texts:
        own = _folded(text)
        entries, last = _entries(leads[0], own[0], 0)
        if (leads[0], own[0]) != (leads[1], own[1]):
            entries += _entries(leads[1], own[1], last + 1)[0]  # no phrase goes over the gap between the readings
        made.append(" ".join(dict.fromkeys(entries)))
        leads = [(lead + way)[-LEAD_WORDS:] for lead, way in zip(leads, own, strict=True)]
    return made


def _folded(text: str) -> tuple[list[str], list[str]]:
    reading = read(text)
    apart = [word.folded for word in reading.apart[:MOST_WORDS]]
    joined = [word.folded for word in reading.joined[:MOST_WORDS]]
    return apart, joined


def _entries(lead: Sequence[str], own: Sequence[str], position: int) -> tuple[list[str], int]:
    """Those of one reading, from the next position on; and the last one."""
    entries = [f"{quoted(word)}:{place}" for place, word in enumerate(lead, start=position + 1)]
    entries += [f"{quoted(word)}:{place}A" for place, word in enumerate(own, start=position + len(lead) + 1)]
    entries += [quoted(_pair(*words)) for words in pairwise([*lead, *own])]
    return entries, position + len(lead) + len(own)


def _phrase(words: Sequence[str], prefix: bool, pairs: bool) -> str:
    *begin, last = map(quoted, words)
    phrase = " <-> ".join([*begin, f"{last}:{'*' if prefix else ''}A"])
    if not (pairs and begin):
        return phrase
    complete = words[:-1] if prefix else words
    return " & ".join([f"({phrase})", *(quoted(_pair(*pair)) for pair in pairwise(complete))])


def _pair(word: str, following: str) -> str:
    """A short word for two: one of 262,144, each of which few segments have. No word begins as it does."""
    number = crc32(f"{word} {following}".encode())
    return "#" + "".join(_ALPHABET[number >> shift & 63] for shift in (0, 6, 12))


def quoted(word: str) -> str:
    """The word as a lexeme of a ``tsvector`` or ``tsquery``."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _occurrences(wanted: Sequence[str], prefix: bool, words: Sequence[Word]) -> Iterator[tuple[int, int]]:
    for first in range(len(words) - len(wanted) + 1):
        found = words[first : first + len(wanted)]
        *begin, last = [word.folded for word in found]
        if begin == list(wanted[:-1]) and (last.startswith(wanted[-1]) if prefix else last == wanted[-1]):
            yield min(word.start for word in found), max(word.end for word in found)
