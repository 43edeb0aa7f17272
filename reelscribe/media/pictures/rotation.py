"""How players turn a picture, as its display matrix says."""

import struct
from typing import Any

Matrix = tuple[int, ...]
"""Nine numbers in the order of FFmpeg's ``libavutil/display.h``; the first four that turn are 0, 1, 3 and 4."""

UNITS = 1 << 16
QUARTERS = {0: (1, 0, 0, 1), 90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}
"""What turns a picture by so many degrees, counter-clockwise."""


def display_matrix(frame: Any) -> Matrix | None:
    """The display matrix of a decoded picture; None if it has none.

    PyAV 18 and earlier raise ValueError for all data that come with a picture if they do not know the type of one,
    such as the EXIF of a motion JPEG. They know the angle nevertheless, but not whether the picture is mirrored.
    """
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        a, b, c, d = (UNITS * entry for entry in QUARTERS.get(frame.rotation % 360, QUARTERS[0]))
        return (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return struct.unpack("=9i", bytes(data)) if data is not None and data.buffer_size == 36 else None


def turns(matrix: Matrix) -> tuple[str, ...]:
    """The filters that show a picture as its display matrix says; FFmpeg's own choice, for quarter turns only."""
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(a) < abs(b) and abs(d) < abs(c):
        if b > 0:
            return ("transpose=cclock_flip",) if c > 0 else ("transpose=clock",)
        return ("transpose=clock_flip",) if c < 0 else ("transpose=cclock",)
    return (*(("hflip",) if a < 0 else ()), *(("vflip",) if d < 0 else ()))
