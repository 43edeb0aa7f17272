"""Plots as SVG inside a page: bars for words, histograms for numbers. They need no script and no other file."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

MOST_BARS = 12
MOST_BINS = 24
_WIDTH, _ROW, _LABELS, _NUMBERS = 460, 22, 150, 70
_HEIGHT, _FOOT, _SIDE = 150, 22, 8


class Bins(NamedTuple):
    """How many numbers are in each of some ranges of the same width."""

    start: float
    width: float
    counts: Sequence[int]


def bins(numbers: Sequence[float]) -> Bins:
    """The numbers in ranges of a round width (1, 2 or 5 times a power of ten), at most :data:`MOST_BINS`."""
    least, most = min(numbers), max(numbers)
    spread = (most - least) or max(abs(most), 1.0) / MOST_BINS
    power = 10.0 ** math.floor(math.log10(spread / MOST_BINS))
    width = next(step * power for step in (1, 2, 5, 10, 20) if spread / (step * power) < MOST_BINS - 1)
    first = math.floor(least / width)
    counts = [0] * (math.floor(most / width) - first + 1)
    for number in numbers:
        counts[min(math.floor(number / width) - first, len(counts) - 1)] += 1
    return Bins(first * width, width, counts)


def histogram(numbers: Sequence[float], unit: str) -> str:
    """Columns, with the range and the count of each as its title."""
    found = bins(numbers)
    tallest, step = max(found.counts), (_WIDTH - 2 * _SIDE) / len(found.counts)
    columns = []
    for number, count in enumerate(found.counts):
        low = found.start + number * found.width
        height = (_HEIGHT - 16) * count / tallest
        columns.append(
            f'<rect x="{_SIDE + number * step + 1:.1f}" y="{_HEIGHT - height:.1f}" width="{max(step - 2, 1):.1f}" '
            f'height="{height:.1f}" rx="1.5"><title>{_number(low)} to {_number(low + found.width)} {escape(unit)}: '
            f"{count:,}</title></rect>"
        )
    end = found.start + len(found.counts) * found.width
    marks = [
        (_SIDE, "start", found.start),
        (_WIDTH / 2, "middle", (found.start + end) / 2),
        (_WIDTH - _SIDE, "end", end),
    ]
    labels = "".join(
        f'<text x="{x:.0f}" y="{_HEIGHT + 16}" text-anchor="{anchor}">{_number(value)} {escape(unit)}</text>'
        for x, anchor, value in marks
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + _FOOT}" role="img"><text x="{_SIDE}" y="10">{tallest:,}</text>'
        f'<line x1="{_SIDE}" x2="{_WIDTH - _SIDE}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>{"".join(columns)}{labels}</svg>'
    )


def bars(counts: Mapping[str, int]) -> str:
    """One row for each word, the most frequent first; what is beyond :data:`MOST_BARS` is added up."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    shown, rest = ordered[:MOST_BARS], ordered[MOST_BARS:]
    if rest:
        shown.append((f"{len(rest):,} others", sum(count for _, count in rest)))
    most, room = max(count for _, count in shown), _WIDTH - _LABELS - _NUMBERS
    rows = []
    for number, (name, count) in enumerate(shown):
        y, length = number * _ROW, max(room * count / most, 1)
        label = name if len(name) <= 22 else f"{name[:21]}…"
        rows.append(
            f'<text x="{_LABELS - 8}" y="{y + 15}" text-anchor="end">{escape(label)}'
            f"<title>{escape(name)}</title></text>"
            f'<rect x="{_LABELS}" y="{y + 4}" width="{length:.1f}" height="{_ROW - 8}" rx="2"/>'
            f'<text x="{_LABELS + length + 6:.1f}" y="{y + 15}">{count:,}</text>'
        )
    return f'<svg viewBox="0 0 {_WIDTH} {len(shown) * _ROW}" role="img">{"".join(rows)}</svg>'


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
