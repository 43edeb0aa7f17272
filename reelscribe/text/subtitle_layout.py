"""Segments to subtitles: sentences in at most two lines of 42 characters, long enough to be read, never two at the
same time.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import inf
from typing import NamedTuple, Protocol

from reelscribe.text.punctuation import CLAUSE_ENDS, CLOSING_MARKS, SENTENCE_ENDS
from reelscribe.text.running_text import space
from reelscribe.text.srt_vtt import Timed, one_line

LINE_WIDTH = 42
"""Characters of a line; a Chinese, Japanese or Korean one counts as two."""
MIN_SECONDS = 1.0
"""Shorter ones stay longer, if the next one leaves room."""
MAX_SECONDS = 7.0
FLASH_SECONDS = 0.1
"""Too short to be seen: such a cue gets the minimum, and the next one waits."""
LONGEST_PAUSE_SECONDS = 2.0
"""In a cue; what comes after a longer one is not shown before it is said."""
SHORT_PAUSE_SECONDS = 0.5
"""Longest one between a sentence that is too short for a cue and the next one, if they share a cue."""
MOST_PIECES = 300
"""Of a text that has no end of a sentence, before some of it is decided."""

ABBREVIATION = re.compile(r"\W*(?:(?:[A-Za-zÀ-ÿА-я]\.)+|(?:Mr|Mrs|Ms|Dr|St|Prof|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Nr)\.)")
"""Of a title or a name: its full stop ends no sentence."""

CUE_COST, UNEVEN_COST = 0.1, 0.2
CLAUSE_COST, WORD_COST, MOST_FOR_PAUSE = 0.5, 1.3, 0.3
"""Of a border between cues in mid-sentence: after a comma, or between any two words, less the pause in seconds."""


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


def cues(segments: Iterable[Spoken]) -> list[Cue]:
    """The subtitles of a transcript, in order and without overlaps.

    A sentence is shown as a whole, whatever segments it is in. One that is too long for a cue is split between words,
    if possible after a comma or at a pause; at the words' own times if they are known, else in proportion to the
    letters.
    """
    stream = CueStream()
    return stream.add(segments) + stream.end()


class CueStream:
    """The same, for segments that come part by part."""

    def __init__(self) -> None:
        self._open: list[_Piece] = []
        self._last: list[Cue] = []
        self._free = 0.0

    def add(self, segments: Iterable[Spoken]) -> list[Cue]:
        """The subtitles of more segments, as far as they do not depend on what follows."""
        made: list[Cue] = []
        for segment in segments:
            before = self._open[-1].text if self._open else ""
            for piece in _pieces(segment, before):
                made += self._close_before(piece)
                self._open.append(piece)
        return self._spread(made)

    def end(self) -> list[Cue]:
        """Those that are left."""
        made = [_cue(pieces) for pieces in _split(self._open)]
        return self._spread([*made, Cue(inf, inf, "")])

    def _close_before(self, piece: _Piece) -> list[Cue]:
        """The cues that are decided now that it is known what follows."""
        if self._open and _can_end(self._open, piece):
            decided, self._open = _split(self._open), []
        elif len(self._open) == MOST_PIECES:
            *decided, rest = _split(self._open)
            self._open = list(rest)
        else:
            return []
        return [_cue(pieces) for pieces in decided]

    def _spread(self, made: Sequence[Cue]) -> list[Cue]:
        """The cues before the last with times that can be read and do not overlap, whatever the model said."""
        found = [*self._last, *made]
        self._last = found[-1:]
        spread = []
        for cue, following in pairwise(found):
            start = max(cue.start, self._free)
            own = min(cue.end - start, MAX_SECONDS)
            least = min(own, MIN_SECONDS) if own > FLASH_SECONDS else MIN_SECONDS
            room = following.start - start
            self._free = start + max(least, min(max(own, MIN_SECONDS), room))
            spread.append(replace(cue, start=start, end=self._free))
        return spread


def ends_sentence(text: str, following: str) -> bool:
    """Whether a sentence ends between two texts; not after "Mr.", nor before a small letter."""
    shown = text.rstrip(CLOSING_MARKS)
    if not shown.endswith(SENTENCE_ENDS) or ABBREVIATION.fullmatch(shown.rsplit(maxsplit=1)[-1]):
        return False
    return not next(filter(str.isalnum, following), "").islower()


def _can_end(pieces: Sequence[_Piece], following: _Piece) -> bool:
    """Whether a cue has to end here, so that nothing that follows changes the cues of these pieces."""
    pause = following.start - pieces[-1].end
    if pause >= LONGEST_PAUSE_SECONDS:
        return True
    is_long_enough = pieces[-1].end - pieces[0].start >= MIN_SECONDS or pause > SHORT_PAUSE_SECONDS
    return is_long_enough and ends_sentence(pieces[-1].text, following.text)


def _pieces(segment: Spoken, before: str) -> Iterator[_Piece]:
    """Those of a segment that follows the text ``before``."""
    text = one_line(segment.text)
    if segment.words and one_line("".join(word.word for word in segment.words)) == text:
        timed = [_Piece(word.word, word.start, word.end) for word in segment.words]
    else:
        timed = [_Piece(text, segment.start, segment.end)]
    for number, piece in enumerate(part for timing in timed for part in _in_proportion(timing)):
        own = one_line(piece.text)
        gap = space(before, own) if not number else " " if piece.text[:1].isspace() else ""
        yield piece._replace(text=gap + own)


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
    if width(word.strip()) <= LINE_WIDTH and width(word.strip()) == len(word.strip()):
        return [word]
    parts = [""]
    for letter in word:  # no spaces to break at: between any two letters
        is_full = width(parts[-1].strip() + letter) > LINE_WIDTH
        if is_full or (_can_begin(letter) and any(map(str.isalnum, parts[-1]))):
            parts.append("")
        parts[-1] += letter
    return parts


def _can_begin(letter: str) -> bool:
    return width(letter) == 2 and (letter.isalnum() or unicodedata.category(letter) in ("Ps", "Pi"))


def _split(pieces: Sequence[_Piece]) -> list[Sequence[_Piece]]:
    """The pieces of each cue: of all ways to split them into cues that fit, the one that costs least."""
    ends = [0, *accumulate(width(piece.text) for piece in pieces)]
    spaces = [piece.text[:1] == " " for piece in pieces]

    def fits(first: int, end: int) -> bool:
        if pieces[end - 1].end - pieces[first].start > MAX_SECONDS:
            return False
        border = bisect_right(ends, ends[first] + spaces[first] + LINE_WIDTH) - 1  # of a first line that is full
        return border >= end or ends[end] - ends[border] - spaces[border] <= LINE_WIDTH

    costs, begins = [0.0], [0]
    for end in range(1, len(pieces) + 1):
        at_end = _border_cost(pieces[end - 1], pieces[end]) if end < len(pieces) else 0.0
        found = []
        for first in range(end - 1, -1, -1):
            if first < end - 1 and not fits(first, end):
                break
            uneven = UNEVEN_COST * ((ends[end] - ends[first]) / (2 * LINE_WIDTH)) ** 2
            found.append((costs[first] + CUE_COST + at_end + uneven, first))
        cost, begin = min(found)
        costs.append(cost)
        begins.append(begin)
    split: list[Sequence[_Piece]] = []
    end = len(pieces)
    while end:
        split.insert(0, pieces[begins[end] : end])
        end = begins[end]
    return split


def _border_cost(before: _Piece, after: _Piece) -> float:
    if ends_sentence(before.text, after.text):
        return 0.0
    if before.text.rstrip(CLOSING_MARKS).endswith(CLAUSE_ENDS):
        return CLAUSE_COST
    return WORD_COST - min(MOST_FOR_PAUSE, max(0.0, after.start - before.end))


def _lines(pieces: Sequence[_Piece]) -> list[str]:
    """One line, or two of about the same width."""
    text = _text(pieces)
    if width(text) <= LINE_WIDTH:
        return [text]
    breaks = [[_text(pieces[:at]), _text(pieces[at:])] for at in range(1, len(pieces))]
    fitting = [lines for lines in breaks if max(map(width, lines)) <= LINE_WIDTH]
    return min(fitting, key=lambda lines: abs(width(lines[0]) - width(lines[1])))


def _cue(pieces: Sequence[_Piece]) -> Cue:
    return Cue(pieces[0].start, pieces[-1].end, "\n".join(_lines(pieces)))


def _text(pieces: Sequence[_Piece]) -> str:
    return "".join(piece.text for piece in pieces).strip()


def width(text: str) -> int:
    """Of a text in characters; East Asian letters take two, marks on other letters none."""
    return len(text) if text.isascii() else sum(map(_letter_width, text))


def _letter_width(letter: str) -> int:
    if unicodedata.east_asian_width(letter) in "WF":
        return 2
    return 0 if unicodedata.category(letter) in ("Mn", "Me", "Cf") else 1
