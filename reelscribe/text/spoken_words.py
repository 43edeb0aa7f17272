"""Segments to the words of which subtitles are made, each with its times."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from reelscribe.text.phrases import Begins, begins
from reelscribe.text.running_text import space
from reelscribe.text.srt_vtt import Timed, one_line

LINE_WIDTH = 42
"""Characters of a line; a Chinese, Japanese or Korean one counts as two."""


class SpokenWord(Protocol):
    """A word of a segment, with the space before it."""

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...

    @property
    def word(self) -> str: ...


class Spoken(Timed, Protocol):
    """A segment, perhaps with the times of its words."""

    @property
    def words(self) -> Sequence[SpokenWord] | None: ...


class Piece(NamedTuple):
    """What is not broken any further: a word, with the space before it."""

    text: str
    start: float
    end: float
    begins: Begins = Begins.NOTHING


def pieces_of(segment: Spoken, before: str, language: str) -> Iterator[Piece]:
    """Those of a segment that follows the text ``before``."""
    text = one_line(segment.text)
    if segment.words and one_line("".join(word.word for word in segment.words)) == text:
        timed = [Piece(word.word, word.start, word.end) for word in segment.words]
    else:
        timed = [Piece(text, segment.start, segment.end)]
    for number, piece in enumerate(part for timing in timed for part in _in_proportion(timing)):
        own = one_line(piece.text)
        gap = space(before, own) if not number else " " if piece.text[:1].isspace() else ""
        yield piece._replace(text=gap + own, begins=begins(own, language))


def _in_proportion(piece: Piece) -> list[Piece]:
    """The words of a piece, and parts of a word that is longer than a line."""
    words: list[str] = re.findall(r"\s*\S+", piece.text)
    texts = [part for word in words for part in _line_parts(word)]
    total = sum(map(len, texts)) or 1
    found, before = [], 0
    for text in texts:
        start, before = before, before + len(text)
        seconds = piece.end - piece.start
        found.append(Piece(text, piece.start + seconds * start / total, piece.start + seconds * before / total))
    return found


def _line_parts(word: str) -> list[str]:
    if width(word.strip()) <= LINE_WIDTH and width(word.strip()) == len(word.strip()):
        return [word]
    starts, filled, is_begun = [0], 0, False
    for place, letter in enumerate(word):  # no spaces to break at: between any two letters
        if filled + width(letter) > LINE_WIDTH or (is_begun and _can_begin(letter)):
            starts.append(place)
            filled, is_begun = 0, False
        filled += 0 if letter.isspace() else width(letter)
        is_begun = is_begun or letter.isalnum()
    return [word[start:end] for start, end in pairwise([*starts, len(word)])]


def _can_begin(letter: str) -> bool:
    return width(letter) == 2 and (letter.isalnum() or unicodedata.category(letter) in ("Ps", "Pi"))


def width(text: str) -> int:
    """Of a text in characters; East Asian letters take two, marks on other letters none."""
    return len(text) if text.isascii() else sum(map(_letter_width, text))


def _letter_width(letter: str) -> int:
    if unicodedata.east_asian_width(letter) in "WF":
        return 2
    return 0 if unicodedata.category(letter) in ("Mn", "Me", "Cf") else 1
