"""Lists of addresses: CSV files as data sets have them."""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import TextIO

Malformed = csv.Error
YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
YOUTUBE = "https://www.youtube.com/watch?v="
COLUMNS = ("url", "webpage_url", "link", "address", "youtube_id", "ytid", "video_id", "id", "video")
"""Names of the column to read, in the order in which they are looked for."""


def addresses(file: TextIO) -> Iterator[tuple[int, str]]:
    """The line and the address of each row, each address once: of the column that a header names, else the first.

    A cell that is an id of YouTube means its recording. Rows without a cell, and lines that begin with #, are skipped.
    """
    seen: set[str] = set()
    column: int | None = None
    rows = csv.reader(_lines(file), skipinitialspace=True)
    for cells in rows:
        if column is None:
            names = [cell.strip().lower() for cell in cells]
            column = next((names.index(name) for name in COLUMNS if name in names), -1)
            if column >= 0:
                continue
        cell = cells[max(0, column)].strip() if len(cells) > max(0, column) else ""
        if cell and not cell.startswith("#"):
            address = YOUTUBE + cell if YOUTUBE_ID.fullmatch(cell) else cell
            if address not in seen:
                seen.add(address)
                yield rows.line_num, address


def _lines(file: Iterable[str]) -> Iterator[str]:
    for line in file:
        yield line.removeprefix("\ufeff")
