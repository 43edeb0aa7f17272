"""Segments to subtitles: sentences in at most two lines of 42 characters, long enough to be read, never two at the
same time.

Characters, lines and seconds are the usual limits of the trade (of the style guides of Netflix, for instance), as are
the borders between lines: after a punctuation mark, else before a conjunction or a preposition.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import inf

from reelscribe.text.phrases import Begins
from reelscribe.text.punctuation import CLAUSE_ENDS, CLOSING_MARKS, SENTENCE_ENDS
from reelscribe.text.spoken_words import LINE_WIDTH, Piece, Spoken, pieces_of, width

MIN_SECONDS = 1.0
"""Shorter ones stay longer, if the next one leaves room."""
MAX_SECONDS = 7.0
READING_SPEED = 17.0
"""Characters per second; a cue that is said faster stays longer, if the next one leaves room."""
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

CUE_COST, UNEVEN_COST, UNEVEN_LINES_COST = 0.1, 0.2, 1.5
MARK_COST, MOST_FOR_PAUSE = 0.5, 0.3
"""Of a border in mid-sentence: after a punctuation mark; what a pause in seconds makes any other one cheaper."""
BORDER_COSTS = {Begins.CLAUSE: 1.2, Begins.PHRASE: 1.4, Begins.NOTHING: 1.5}
"""Of a border without a mark, by what the word after it begins."""
TORN_COST = 0.6
"""Of one between two words that belong together, such as those of "the house", "Mr. Hale" or "San Francisco"."""


@dataclass(frozen=True)
class Cue:
    """One subtitle: seconds of the recording, and one or two lines."""

    start: float
    end: float
    text: str


def cues(segments: Iterable[Spoken], language: str = "") -> list[Cue]:
    """The subtitles of a transcript in a language (its ISO 639 code), in order and without overlaps.

    A sentence is shown as a whole, whatever segments it is in. One that is too long for a cue is split between words,
    if possible after a comma, else before a word that begins a clause or a phrase, or at a pause; at the words' own
    times if they are known, else in proportion to the letters.
    """
    stream = CueStream(language)
    return stream.add(segments) + stream.end()


class CueStream:
    """The same, for segments that come part by part."""

    def __init__(self, language: str = "") -> None:
        self._language = language
        self._open: list[Piece] = []
        self._last: list[Cue] = []
        self._free = 0.0

    def add(self, segments: Iterable[Spoken]) -> list[Cue]:
        """The subtitles of more segments, as far as they do not depend on what follows."""
        made: list[Cue] = []
        for segment in segments:
            before = self._open[-1].text if self._open else ""
            for piece in pieces_of(segment, before, self._language):
                made += self._close_before(piece)
                self._open.append(piece)
        return self._spread(made)

    def end(self) -> list[Cue]:
        """Those that are left."""
        made = [_cue(pieces) for pieces in _split(self._open)]
        return self._spread([*made, Cue(inf, inf, "")])

    def _close_before(self, piece: Piece) -> list[Cue]:
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
            readable = min(max(MIN_SECONDS, width(cue.text) / READING_SPEED), MAX_SECONDS)
            room = following.start - start
            self._free = start + max(least, min(max(own, readable), room))
            spread.append(replace(cue, start=start, end=self._free))
        return spread


def ends_sentence(text: str, following: str) -> bool:
    """Whether a sentence ends between two texts; not after "Mr.", nor before a small letter."""
    if not text.rstrip(CLOSING_MARKS).endswith(SENTENCE_ENDS) or _is_abbreviated(text):
        return False
    return not next(filter(str.isalnum, following), "").islower()


def ends_clause(text: str) -> bool:
    """Whether a text ends with a punctuation mark; not with that of "Mr."."""
    return text.rstrip(CLOSING_MARKS).endswith(SENTENCE_ENDS + CLAUSE_ENDS) and not _is_abbreviated(text)


def _is_abbreviated(text: str) -> bool:
    words = text.rstrip(CLOSING_MARKS).split()
    return bool(words and ABBREVIATION.fullmatch(words[-1]))


def _can_end(pieces: Sequence[Piece], following: Piece) -> bool:
    """Whether a cue has to end here, so that nothing that follows changes the cues of these pieces."""
    pause = following.start - pieces[-1].end
    if pause >= LONGEST_PAUSE_SECONDS:
        return True
    is_long_enough = pieces[-1].end - pieces[0].start >= MIN_SECONDS or pause > SHORT_PAUSE_SECONDS
    return is_long_enough and ends_sentence(pieces[-1].text, following.text)


def _split(pieces: Sequence[Piece]) -> list[Sequence[Piece]]:
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
    split: list[Sequence[Piece]] = []
    end = len(pieces)
    while end:
        split.insert(0, pieces[begins[end] : end])
        end = begins[end]
    return split


def _border_cost(before: Piece, after: Piece) -> float:
    if ends_sentence(before.text, after.text):
        return 0.0
    if ends_clause(before.text):
        return MARK_COST
    torn = TORN_COST if before.begins or _is_abbreviated(before.text) or _is_name(before, after) else 0.0
    return BORDER_COSTS[after.begins] + torn - min(MOST_FOR_PAUSE, max(0.0, after.start - before.end))


def _is_name(before: Piece, after: Piece) -> bool:
    return not after.begins and all(piece.text.strip()[:1].isupper() for piece in (before, after))


def _lines(pieces: Sequence[Piece]) -> list[str]:
    """One line, or two of about the same width that end where a cue could."""
    text = _text(pieces)
    if width(text) <= LINE_WIDTH:
        return [text]
    breaks = []
    for at in range(1, len(pieces)):
        lines = [_text(pieces[:at]), _text(pieces[at:])]
        first, second = map(width, lines)
        if max(first, second) <= LINE_WIDTH:
            uneven = UNEVEN_LINES_COST * abs(first - second) / LINE_WIDTH
            breaks.append((uneven + _border_cost(pieces[at - 1], pieces[at]), lines))
    return min(breaks)[1]


def _cue(pieces: Sequence[Piece]) -> Cue:
    return Cue(pieces[0].start, pieces[-1].end, "\n".join(_lines(pieces)))


def _text(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces).strip()
