"""ffmpeg's own account of what it wrote: its ``framecrc`` muxer prints one line for each frame of an output.

The format is that of libavformat/framecrcenc.c: a header of ``#key 0: value`` lines, then
``stream, dts, pts, duration, size, checksum`` and, for a packet that is not intact, ``F=`` with its flags. No text from
the input is in it.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

CORRUPT = 0x2
"""``AV_PKT_FLAG_CORRUPT`` of libavcodec/packet.h."""


class Frame(NamedTuple):
    """One frame; times in units of the report's time base, ``size`` in bytes."""

    pts: int
    duration: int
    size: int
    corrupt: bool


@dataclass
class FrameReport:
    """Reads a report piece by piece.

    Attributes:
        time_base: seconds per unit; None until the header has been read.
        codec: as ffmpeg names it, such as ``amr_nb``.
        sample_rate: Hz.
        layout: name of the channel layout, such as ``stereo``.
    """

    time_base: Fraction | None = None
    codec: str | None = None
    sample_rate: int | None = None
    layout: str | None = None
    _rest: bytes = field(default=b"", repr=False)

    def read(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes."""
        if not data:
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        frames = []
        for line in lines:
            if line.startswith(b"#"):
                self._read_header(line.decode("ascii", "replace"))
            elif line:
                frames.append(_frame(line))
        return frames

    def _read_header(self, line: str) -> None:
        key, _, value = line[1:].partition(": ")
        if key == "tb 0":
            self.time_base = Fraction(value)
        elif key == "codec_id 0":
            self.codec = value
        elif key == "sample_rate 0":
            self.sample_rate = int(value)
        elif key == "channel_layout_name 0":
            self.layout = value


def _frame(line: bytes) -> Frame:
    fields = line.split(b",")
    flags = next((int(field.split(b"=")[1], 16) for field in fields[6:] if field.strip().startswith(b"F=")), 0)
    return Frame(int(fields[2]), int(fields[3]), int(fields[4]), bool(flags & CORRUPT))
