"""FLAC: its header states how many samples there are, and each frame where it belongs.

RFC 9639: 8.2 (STREAMINFO), 9.1 (frame header).
"""

from typing import NamedTuple

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import AS_THE_FIRST, Structure, ends_early, only
from reelscribe.media.structure.id3 import after_id3

PROBES = 4
PROBE_BYTES = 1 << 15
MAX_SYNCS = 50
"""Looked at in one probe."""

RATES = dict(
    enumerate((88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000), start=1)
)
RATE_UNITS = {12: (1, 1000), 13: (2, 1), 14: (2, 10)}
"""By its code in a frame's header: the rate in Hz; or the bytes it has there, and their unit."""

BLOCK_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


def read(data: Bytes) -> Structure:
    start = after_id3(data)
    header = data.exactly(start, 42)
    smallest, largest = int.from_bytes(header[8:10], "big"), int.from_bytes(header[10:12], "big")
    packed = int.from_bytes(header[18:26], "big")
    rate, channels, samples = packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1
    fixed = smallest if smallest == largest else 0
    frames = [frame for step in range(1, PROBES + 1) if (frame := _last_frame(data, step, fixed, header[12:18]))]
    ends = [frame.end for frame in frames]
    others = (_other_shape(frame, rate, channels) for frame in frames)
    if change := next(filter(None, others), None):
        return Structure("flac", only(0, None, channels), unplayed=change)
    if ends != sorted(ends):
        return Structure("flac", only(0, None, channels))
    seconds = samples / rate if samples and rate else None
    looked_at_all = data.size - start <= PROBE_BYTES
    end = ends[-1] if ends else 0
    cut = ends_early(samples, end, "samples") if ends or looked_at_all else None
    return Structure("flac", only(0, seconds, channels), seconds, cut, seekable=seconds is not None)


class _Frame(NamedTuple):
    """The sample at which it ends, and its rate in Hz and channels; the rate is 0 if the file's header says it."""

    end: int
    rate: int
    channels: int


def _other_shape(frame: _Frame, rate: int, channels: int) -> str | None:
    """The sentence for a frame of another recording, which ffmpeg does not play as it is."""
    if frame.channels == channels and frame.rate in (0, rate):
        return None
    shape = f"{frame.channels} channels" if frame.rate in (0, rate) else f"{frame.rate} Hz"
    return f"another recording, of {shape}, is appended, {AS_THE_FIRST}"


def _last_frame(data: Bytes, step: int, fixed: int, sizes: bytes) -> _Frame | None:
    """The last frame that begins in a part of the file; the last part is the end of the file."""
    largest_frame = int.from_bytes(sizes[3:], "big")
    window = min(max(PROBE_BYTES, 2 * largest_frame), 1 << 20)
    content = data.read(max(0, data.size * step // PROBES - window), window)
    at = len(content)
    for _ in range(MAX_SYNCS):
        at = max(content.rfind(b"\xff\xf8", 0, at), content.rfind(b"\xff\xf9", 0, at))
        if at < 0:
            return None
        frame = _frame(content[at : at + 16], fixed)
        if frame is not None:
            return frame
    return None


def _frame(header: bytes, fixed: int) -> _Frame | None:
    """What a header says of its frame; None if it is none."""
    if len(header) < 16 or header[2] >> 4 == 0 or header[3] & 1:
        return None
    ones = 8 - (~header[4] & 0xFF).bit_length()
    if ones in (1, 8):
        return None
    more = max(0, ones - 1)
    number = header[4] & (0x7F >> ones)
    for byte in header[5 : 5 + more]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 0x3F
    position = 5 + more
    code, size = header[2] >> 4, BLOCK_SIZES[header[2] >> 4]
    if code in (6, 7):
        size = int.from_bytes(header[position : position + code - 5], "big") + 1
        position += code - 5
    rate_code, channel_code = header[2] & 15, header[3] >> 4
    width, unit = RATE_UNITS.get(rate_code, (0, 0))
    rate = int.from_bytes(header[position : position + width], "big") * unit if width else RATES.get(rate_code, 0)
    position += width
    if _crc8(header[:position]) != header[position]:
        return None
    end = number + size if header[1] & 1 else number * (fixed or size) + size
    return _Frame(end, rate, 2 if channel_code > 7 else channel_code + 1)


def _crc8(content: bytes) -> int:
    """Of RFC 9639, section 9.1.8: polynomial x^8 + x^2 + x + 1."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc
