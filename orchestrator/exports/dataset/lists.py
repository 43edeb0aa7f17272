"""Lists of what is wanted: CSV as VGGSound's, without a header, or any with one, whose columns have names."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator.exports.dataset.plan import EVERYTHING
from reelscribe.savepath import mistake_in

NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "video_id", "youtube_id", "ytid", "clip_id"),
    "savepath": ("savepath", "path", "file", "file_name", "filename"),
    "start": ("start", "start_seconds", "start_time", "begin"),
    "end": ("end", "end_seconds", "end_time"),
    "duration": ("duration", "seconds"),
    "label": ("label", "labels", "class", "caption"),
    "split": ("split", "set", "subset"),
    "speaker": ("speaker", "speaker_id"),
}
"""The columns that are read, and what they are called in lists."""
VGGSOUND = ("id", "start", "label", "split")
"""The columns of a list without a header, in their order."""
VGGSOUND_SECONDS = "10"
"""Length of its clips; the list does not say it."""
SPLIT_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Row(NamedTuple):
    """A row of a list.

    Attributes:
        number: of its line, for people.
        mistake: why nothing can be made of it; None if something can.
    """

    number: int
    id: str
    savepath: str
    start: float | None
    duration: float | None
    label: str | None
    split: str
    speaker: str | None
    mistake: str | None


class BadList(ValueError):
    """A list that cannot be read at all."""


def read_list(path: Path, columns: Mapping[str, str], template: str) -> Iterator[Row]:
    """The rows of a list.

    Args:
        columns: what a column is called in this list, for those whose name is not one of :data:`NAMES`.
        template: of the savepath of a row that names none: ``{id}`` is its id.

    Raises:
        BadList: it cannot be read, or has no column that says which recording is meant.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise BadList(f"{path} is a pipe or a device, which can be read only once; write the list to a file first")
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(csv.reader(file, skipinitialspace=True), columns, template)
    except OSError as unreadable:
        raise BadList(f"{path} cannot be read: {unreadable.strerror}") from None
    except UnicodeDecodeError:
        raise BadList(f"{path} is not UTF-8 text") from None
    except csv.Error as malformed:
        raise BadList(f"{path} is not CSV: {malformed}") from None


def _rows(lines: Iterable[Sequence[str]], columns: Mapping[str, str], template: str) -> Iterator[Row]:
    places: dict[str, int] | None = None
    given: dict[str, str] = {}
    for number, cells in enumerate(lines, start=1):
        if not any(cell.strip() for cell in cells):
            continue
        if any("\0" in cell for cell in cells):
            raise BadList(f"line {number} holds a character that no text has (NUL)")
        if places is None:
            places = _header(cells, columns)
            if places:
                continue
            places = {name: place for place, name in enumerate(VGGSOUND)}
            given = {"duration": VGGSOUND_SECONDS}
        of_row = {name: cells[at].strip() for name, at in places.items() if at < len(cells)}
        yield _row(number, given | of_row, template)


def _header(cells: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Which column is where, if this is a header; empty if it is none."""
    there: dict[str, int] = {}
    for at, cell in enumerate(cells):
        there.setdefault(cell.strip().lower(), at)
    for name, given in columns.items():
        if given.lower() not in there:
            raise BadList(f"the list has no column {given!r} for {name}; it has {', '.join(there)}")
    places = {name: there[given.lower()] for name, given in columns.items()}
    for name, known in NAMES.items():
        if name not in places and (found := next((one for one in known if one in there), None)):
            places[name] = there[found]
    return places if "id" in places or "savepath" in places else {}


def _row(number: int, cells: Mapping[str, str], template: str) -> Row:
    id, mistakes = cells.get("id", ""), []
    savepath = cells.get("savepath") or (template.replace("{id}", id) if id else "")
    if not savepath:
        mistakes.append("it names no recording")
    elif wrong := mistake_in(savepath):
        mistakes.append(f"its savepath {wrong}")
    start, duration = _seconds(cells, "start", mistakes), _seconds(cells, "duration", mistakes)
    end = _seconds(cells, "end", mistakes)
    if duration is None and end is not None:
        duration = end - (start or 0.0)
    if duration is not None and duration <= 0:
        mistakes.append("it ends before it starts")
        duration = None
    split = cells.get("split") or EVERYTHING
    if not set(split) <= SPLIT_LETTERS or len(split) > 40:
        mistakes.append(f"its split {split!r} has more than letters, digits and _")
        split = EVERYTHING
    return Row(
        number=number,
        id=id or savepath,
        savepath=savepath,
        start=start,
        duration=duration,
        label=cells.get("label") or None,
        split=split,
        speaker=cells.get("speaker") or None,
        mistake=f"line {number}: {'; '.join(mistakes)}" if mistakes else None,
    )


def _seconds(cells: Mapping[str, str], name: str, mistakes: list[str]) -> float | None:
    text = cells.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        mistakes.append(f"its {name} {text!r} is no number of seconds")
        return None
    if not 0 <= value <= 1e7:
        mistakes.append(f"its {name} {text} is no time in a recording")
        return None
    return value
