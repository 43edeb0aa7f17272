"""The lines of a transcript as HTML; ``static/transcript.js`` says what they consist of.

Ten hours have 15 000: a template takes twice as long for them.
"""

from collections.abc import Iterator, Sequence
from html import escape

from orchestrator.page.formats import clock
from orchestrator.transcripts.addresses import moment
from orchestrator.transcripts.queries import Line

LINES_OF_A_PART = 100
"""The browser lays out only the parts that are in view, and paints all of one again for each word that is spoken."""


def parts(lines: Sequence[Line]) -> str:
    """These lines, in as many parts as they need."""
    return "".join(
        f'<div class="part">\n{"".join(_lines(lines[first : first + LINES_OF_A_PART]))}</div>\n'
        for first in range(0, len(lines), LINES_OF_A_PART)
    )


def _lines(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        edited = f' data-edited="{escape(line.author)}"' if line.author else ""
        yield (
            f'<p class="line" data-index="{line.index}" data-start="{line.start}" data-end="{line.end}"{edited}>'
            f'<a class="time" href="{moment(line.start)}" tabindex="-1">{clock(line.start)}</a>'
            f' <span class="text">{escape(line.text)}</span></p>\n'
        )
