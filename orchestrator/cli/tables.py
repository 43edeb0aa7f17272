"""Tables that can be read on a terminal of 80 columns: what does not fit gets lines of its own, and is never torn.

The last column takes what is left; a name that is longer begins a line of its own. Notes follow their row, indented.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from orchestrator.cli.console import COLOURS, length, transcribed, visible
from orchestrator.jobs.models import Job

GAP = 2
INDENT = 4


class Row(NamedTuple):
    """The cells of a row, and what is to be said below it."""

    cells: Sequence[Text]
    notes: Sequence[str] = ()


class Indented:
    """Text whose lines all begin a little to the right; words stay as they are if they can."""

    def __init__(self, text: Text | str, by: int = INDENT, style: str = "") -> None:
        self._text = Text(text, style=style) if isinstance(text, str) else text
        self._by = by

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._text.wrap(console, max(10, options.max_width - self._by), overflow="fold"):
            line.rstrip()
            yield Text(" " * self._by).append_text(line)


class Rows:
    """A table.

    Args:
        header: names of the columns; those in ``right`` are for numbers.
    """

    def __init__(self, header: Sequence[str], rows: Sequence[Row], right: Sequence[str] = ()) -> None:
        self._header = header
        self._rows = rows
        self._right = right

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [[Text(name, style="bold") for name in self._header], *(row.cells for row in self._rows)]
        fixed = len(self._header) - 1
        widths = [max(cell_len(line[column].plain) for line in lines) for column in range(fixed)]
        room = options.max_width - sum(widths) - GAP * fixed
        yield self._line(lines[0], widths, lines[0][-1])
        for row in self._rows:
            last = row.cells[-1]
            fits = cell_len(last.plain) <= room
            yield self._line(row.cells, widths, last if fits else Text())
            if not fits:
                yield Indented(last)
            for note in row.notes:
                yield Indented(note, style="dim")

    def _line(self, cells: Sequence[Text], widths: Sequence[int], last: Text) -> Text:
        line = Text(no_wrap=True, overflow="ignore")
        for name, cell, width in zip(self._header, cells, widths, strict=False):
            padding = " " * (width - cell_len(cell.plain))
            parts = (padding, cell) if name in self._right else (cell, padding)
            line.append_text(Text.assemble(*parts)).append(" " * GAP)
        line.append_text(last)
        line.rstrip()
        return line


def job_rows(jobs: Sequence[Job], details: bool = False) -> Rows:
    """One row per job; with its bucket if there is more than one, and with its options, those by default only if two
    are of one savepath.
    """
    now = datetime.now(UTC)
    buckets = len({job.bucket for job in jobs}) > 1
    same = Counter((job.bucket, job.savepath) for job in jobs)
    rows = [
        Row(
            [
                Text(str(job.id)),
                Text(job.state, style=COLOURS[job.state]),
                Text(when(job, now)),
                Text(transcribed(job)),
                *([Text(job.bucket)] if buckets else []),
                Text(visible(job.savepath)),
            ],
            list(_notes(job, details or bool(job.options) or same[job.bucket, job.savepath] > 1, details)),
        )
        for job in jobs
    ]
    header = ("ID", "STATE", "WHEN", "TRANSCRIBED", *(("BUCKET",) if buckets else ()), "SAVEPATH")
    return Rows(header, rows, right=("TRANSCRIBED",))


def when(job: Job, now: datetime) -> str:
    """For how long it has waited or run, or how long ago it ended."""
    if job.finished_at:
        return f"{_age(job.finished_at, now)} ago"
    since = job.started_at if job.state == "running" and job.started_at else job.created_at
    return f"for {_age(since, now)}"


def local(time: datetime) -> str:
    """A time of this computer's zone."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}"


def _age(since: datetime, now: datetime) -> str:
    seconds = max(0.0, (now - since).total_seconds())
    return f"{seconds / 86400:.0f} days" if seconds >= 2 * 86400 else length(seconds)


def _notes(job: Job, with_options: bool, details: bool) -> Iterator[str]:
    if with_options:
        yield f"options: {options_text(job.options) or 'as by default'}"
    if details:
        times = [("submitted", job.created_at), ("started", job.started_at), ("ended", job.finished_at)]
        yield ", ".join(f"{word} {local(time)}" for word, time in times if time)
    if note := job.error.message if job.error else job.note:
        yield visible(without(job.savepath, note))
    if job.removal:
        yield job.removal


def options_text(options: Mapping[str, object]) -> str:
    """The options of a job that are not as by default."""
    return visible(", ".join(f"{name} = {_shown(value)}" for name, value in options.items()))


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value).lower() if value is True else str(value)


def without(savepath: str, message: str) -> str:
    """A sentence about a savepath that is shown above it; in its middle the name stays, or it were no sentence."""
    name = rf"(?<![\w/.]){re.escape(savepath)}(?![\w/]|\.\w)"
    return re.sub(f"(^|: ){name} ", r"\1it ", re.sub(f"{name}: ", "", message)) if savepath else message
