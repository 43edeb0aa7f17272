"""FLAC: its header states how many samples there are, and each frame where it belongs.

RFC 9639: 8.2 (STREAMINFO), 9.1 (frame header).
"""

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import Structure, ends_early, only
from reelscribe.media.structure.id3 import after_id3

PROBES = 4
PROBE_BYTES = 1 << 15
MAX_SYNCS = 50
"""Looked at in one probe."""

BLOCK_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


def read(data: Bytes) -> Structure:
    start = after_id3(data)
    header = data.exactly(start, 42)
    smallest, largest = int.from_bytes(header[8:10], "big"), int.from_bytes(header[10:12], "big")
    packed = int.from_bytes(header[18:26], "big")
    rate, channels, samples = packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1
    fixed = smallest if smallest == largest else 0
    ends = [end for step in range(1, PROBES + 1) if (end := _last_end(data, step, fixed, header[12:18]))]
    if ends != sorted(ends):
        return Structure("flac", only(0, None, channels))
    seconds = samples / rate if samples and rate else None
    looked_at_all = data.size - start <= PROBE_BYTES
    end = ends[-1] if ends else 0
    cut = ends_early(samples, end, "samples") if ends or looked_at_all else None
    return Structure("flac", only(0, seconds, channels), seconds, cut, seekable=seconds is not None)


def _last_end(data: Bytes, step: int, fixed: int, sizes: bytes) -> int | None:
    """Sample at which the last frame that begins in a part of the file ends; the last part is the end of the file."""
    largest_frame = int.from_bytes(sizes[3:], "big")
    window = min(max(PROBE_BYTES, 2 * largest_frame), 1 << 20)
    content = data.read(max(0, data.size * step // PROBES - window), window)
    at = len(content)
    for _ in range(MAX_SYNCS):
        at = max(content.rfind(b"\xff\xf8", 0, at), content.rfind(b"\xff\xf9", 0, at))
        if at < 0:
            return None
        end = _frame_end(content[at : at + 16], fixed)
        if end is not None:
            return end
    return None


def _frame_end(header: bytes, fixed: int) -> int | None:
    """Sample at which a frame ends, by its header; None if it is none."""
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
    position += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if _crc8(header[:position]) != header[position]:
        return None
    return number + size if header[1] & 1 else number * (fixed or size) + size


def _crc8(content: bytes) -> int:
    """Of RFC 9639, section 9.1.8: polynomial x^8 + x^2 + x + 1."""
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc
