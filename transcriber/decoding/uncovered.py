"""Speech that no segment covers: what the second pass looks for in a window, and what is reported of a recording."""

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from reelscribe.contracts.speech_without_words import MOST_STRETCHES, SpeechWithoutWords, Stretch

Times = tuple[float, float]
"""Start and end in seconds."""

LEAST_SECONDS = 1.0
"""Of speech without words, more than which is reported: times of segments are not exact."""

JOINED_PAUSE_SECONDS = 1.0
"""A shorter pause between two stretches without words makes no two of them."""


class Gap(NamedTuple):
    """What is before, between or after segments, and the stretches of speech in it."""

    start: float
    end: float
    speech: list[Times]

    @property
    def speech_seconds(self) -> float:
        """Without the pauses."""
        return sum(end - start for start, end in self.speech)


def gaps(speech: Iterable[Times], covered: Iterable[Times], until: float = inf) -> list[Gap]:
    """The gaps that segments leave up to a second; one more than there are segments, empty ones included."""
    stretches, found, position = list(speech), [], 0.0
    for start, end in [*sorted(covered), (until, until)]:
        clipped = [(max(position, since), min(start, to)) for since, to in stretches]
        found.append(Gap(position, start, [(since, to) for since, to in clipped if since < to]))
        position = max(position, end)
    return found


class _Stretch(NamedTuple):
    start: float
    end: float
    speech_seconds: float


class UncoveredSpeech:
    """Adds up what no segment of a recording covers, window by window."""

    def __init__(self) -> None:
        self._closed = SpeechWithoutWords()
        self._open: _Stretch | None = None

    def add(self, speech: Iterable[Times], covered: Iterable[Times]) -> None:
        """The next window: its speech and its segments, in seconds of the recording."""
        for number, gap in enumerate(gaps(speech, covered)):
            if number:  # there are words in between
                self._closed, self._open = self.report, None
            for start, end in gap.speech:
                self._extend(start, end)

    @property
    def report(self) -> SpeechWithoutWords:
        """All of it so far."""
        last = self._open
        if last is None or last.speech_seconds <= LEAST_SECONDS:
            return self._closed
        stretch = Stretch(start=round(last.start, 2), end=round(last.end, 2))
        listed = self._closed.stretches
        return SpeechWithoutWords(
            seconds=round(self._closed.seconds + stretch.end - stretch.start, 2),
            count=self._closed.count + 1,
            stretches=[*listed, stretch] if len(listed) < MOST_STRETCHES else listed,
        )

    def _extend(self, start: float, end: float) -> None:
        if self._open and start - self._open.end < JOINED_PAUSE_SECONDS:
            self._open = _Stretch(self._open.start, end, self._open.speech_seconds + end - start)
        else:
            self._closed, self._open = self.report, _Stretch(start, end, end - start)
