"""Segments to paragraphs: a new one begins after a pause, or after a sentence where the last one is long."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from reelscribe.text.running_text import running_text
from reelscribe.text.spoken_words import width
from reelscribe.text.srt_vtt import Timed, one_line
from reelscribe.text.subtitle_layout import ends_sentence

PAUSE_SECONDS = 1.5
"""After a sentence, it begins a new paragraph."""
LONG_PAUSE_SECONDS = 4.0
"""It does so in mid-sentence too."""
LONG_PARAGRAPH = 600
"""Characters after which the next end of a sentence ends it."""
LONGEST_PARAGRAPH = 3000
"""Characters after which it ends at the next segment: the text has no punctuation."""


class Paragraph(NamedTuple):
    """Text in one line, and when it begins, in seconds."""

    start: float
    text: str


class ParagraphStream:
    """The paragraphs of segments that come part by part."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._start = self._end = 0.0
        self._width = 0

    def add(self, segments: Iterable[Timed]) -> Sequence[Paragraph]:
        """Those that are complete now."""
        complete: list[Paragraph] = []
        for segment in segments:
            text = one_line(segment.text)
            if not text:
                continue
            if self._open and self._is_complete_before(segment.start - self._end, text):
                complete += self.end()
            if not self._open:
                self._start, self._width = segment.start, 0
            self._open.append(text)
            self._width += width(text)
            self._end = segment.end
        return complete

    def end(self) -> Sequence[Paragraph]:
        """The one that is left, if any."""
        left = [Paragraph(self._start, running_text(self._open))] if self._open else []
        self._open = []
        return left

    def _is_complete_before(self, pause: float, following: str) -> bool:
        if pause >= LONG_PAUSE_SECONDS or self._width >= LONGEST_PARAGRAPH:
            return True
        is_wanted = pause >= PAUSE_SECONDS or self._width >= LONG_PARAGRAPH
        return is_wanted and ends_sentence(self._open[-1], following)
