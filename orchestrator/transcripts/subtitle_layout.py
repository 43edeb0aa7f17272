"""Segments to subtitles: at most two lines of 42 characters, long enough to be read, never two at the same time."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import NamedTuple

from rich.cells import cell_len

from reelscribe.contracts.events import Segment
from reelscribe.text.srt_vtt import one_line

LINE_WIDTH = 42
"""Characters of a line; a Chinese, Japanese or Korean one counts as two."""
MIN_SECONDS = 1.0
"""Shorter ones stay longer, if the next one leaves room."""
MAX_SECONDS = 7.0
FLASH_SECONDS = 0.1
"""Too short to be seen: such a cue gets the minimum, and the next one waits."""

SENTENCE_ENDS = tuple(".?!…。\uff1f\uff01")
CLAUSE_ENDS = tuple(",;:、\uff0c\uff1b\uff1a")
CLOSING_MARKS = "\"')]»”\u2019"


@dataclass(frozen=True)
class Cue:
    """One subtitle: seconds of the recording, and one or two lines."""

    start: float
    end: float
    text: str


class _Piece(NamedTuple):
    """What is not broken any further: a word, with the space before it."""

    text: str
    start: float
    end: float


def cues(segments: Iterable[Segment]) -> list[Cue]:
    """The subtitles of a transcript, in order and without overlaps.

    A segment that is too long is split between words, at a pause or a punctuation mark near its middle; at the words'
    own times if they are known, else in proportion to the letters.
    """
    stream = CueStream()
    return stream.add(segments) + stream.end()


class CueStream:
    """The same, for segments that come part by part."""

    def __init__(self) -> None:
        self._last: list[Cue] = []
        self._free = 0.0

    def add(self, segments: Iterable[Segment]) -> list[Cue]:
        """The subtitles of more segments, without the last one: its end depends on what follows."""
        made = [_cue(pieces) for segment in segments for pieces in _split(_pieces(segment)) if _text(pieces)]
        found = sorted([*self._last, *made], key=lambda cue: cue.start)
        self._last = found[-1:]
        return self._spread(found)

    def end(self) -> list[Cue]:
        """The last one."""
        return self._spread([*self._last, Cue(inf, inf, "")])

    def _spread(self, found: Sequence[Cue]) -> list[Cue]:
        """The cues before the last with times that can be read and do not overlap, whatever the model said."""
        spread = []
        for cue, following in pairwise(found):
            start = max(cue.start, self._free)
            own = min(cue.end - start, MAX_SECONDS)
            least = min(own, MIN_SECONDS) if own > FLASH_SECONDS else MIN_SECONDS
            room = following.start - start
            self._free = start + max(least, min(max(own, MIN_SECONDS), room))
            spread.append(replace(cue, start=start, end=self._free))
        return spread


def _pieces(segment: Segment) -> list[_Piece]:
    if segment.words and one_line("".join(word.word for word in segment.words)) == one_line(segment.text):
        timed = [_Piece(word.word, word.start, word.end) for word in segment.words]
    else:
        timed = [_Piece(segment.text, segment.start, segment.end)]
    return [part for piece in timed for part in _in_proportion(piece)]


def _in_proportion(piece: _Piece) -> list[_Piece]:
    """The words of a piece, and parts of a word that is longer than a line."""
    words: list[str] = re.findall(r"\s*\S+", piece.text)
    texts = [part for word in words for part in _line_parts(word)]
    total = sum(map(len, texts)) or 1
    found, before = [], 0
    for text in texts:
        start, before = before, before + len(text)
        seconds = piece.end - piece.start
        found.append(_Piece(text, piece.start + seconds * start / total, piece.start + seconds * before / total))
    return found


def _line_parts(word: str) -> list[str]:
    if cell_len(word.strip()) <= LINE_WIDTH and cell_len(word.strip()) == len(word.strip()):
        return [word]
    parts = [""]
    for letter in word:  # no spaces to break at: between any two letters
        if (cell_len(letter) == 2 and letter.isalnum()) or cell_len(parts[-1].strip() + letter) > LINE_WIDTH:
            parts.append("")
        parts[-1] += letter
    return [part for part in parts if part]


def _split(pieces: Sequence[_Piece]) -> list[Sequence[_Piece]]:
    if len(pieces) < 2 or (_lines(pieces) and pieces[-1].end - pieces[0].start <= MAX_SECONDS):
        return [pieces] if pieces else []
    middle, total = _middle(pieces), len(_text(pieces))
    cut = min(range(1, len(pieces)), key=lambda at: abs(middle[at]) / total - _ease(pieces[at - 1], pieces[at]))
    return _split(pieces[:cut]) + _split(pieces[cut:])


def _middle(pieces: Sequence[_Piece]) -> list[float]:
    """How many letters each border between pieces is from the middle; the first is before all pieces."""
    distances, before = [], -sum(len(piece.text) for piece in pieces) / 2
    for piece in pieces:
        distances.append(before)
        before += len(piece.text)
    return distances


def _ease(before: _Piece, after: _Piece) -> float:
    """How good a place between two pieces is for a break; a tenth outweighs a tenth of the text's length."""
    mark = before.text.rstrip(CLOSING_MARKS)[-1:]
    ease = 0.2 if mark in SENTENCE_ENDS else 0.1 if mark in CLAUSE_ENDS else 0.0
    return ease + min(0.1, max(0.0, after.start - before.end) / 5)


def _lines(pieces: Sequence[_Piece]) -> list[str]:
    """One line, or two of about the same width; none if they do not fit."""
    text = _text(pieces)
    if cell_len(text) <= LINE_WIDTH:
        return [text]
    if cell_len(text) > 2 * LINE_WIDTH + 1:
        return []
    breaks = [[_text(pieces[:at]), _text(pieces[at:])] for at in range(1, len(pieces))]
    fitting = [lines for lines in breaks if max(map(cell_len, lines)) <= LINE_WIDTH]
    return min(fitting, key=lambda lines: abs(cell_len(lines[0]) - cell_len(lines[1])), default=[])


def _cue(pieces: Sequence[_Piece]) -> Cue:
    return Cue(pieces[0].start, pieces[-1].end, "\n".join(_lines(pieces)))


def _text(pieces: Sequence[_Piece]) -> str:
    return one_line("".join(piece.text for piece in pieces))
