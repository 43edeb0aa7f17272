"""When a recording begins, for containers whose clock does not start at zero.

ffmpeg takes the earliest timestamp of the streams that it reads for the recording's beginning; in MPEG-TS, MPEG-PS
and Ogg that leaves out the streams that it skips, and sound that begins later than the picture would be too early.

PES headers: ISO/IEC 13818-1, section 2.4.3.6, and for MPEG-1 ISO/IEC 11172-1, section 2.4.3.3.
"""

from collections.abc import Iterator

from reelscribe.media.stored_object import StoredObject

HEAD_BYTES = 4096
MAX_BYTES = 1 << 20
"""Read from the beginning of the file."""

CLOCK_HZ = 90_000
CLOCK_CYCLE = 1 << 33
CYCLE_SECONDS = CLOCK_CYCLE / CLOCK_HZ

TS_PACKET_SIZES = (188, 192, 204)
PREFIX = b"\x00\x00\x01"
PACK_START = PREFIX + b"\xba"

MAX_LEAD_SECONDS = 10
"""A stream whose first packet comes after that of another one begins at most so much before it; an earlier timestamp is
of a clock that begins again."""

OGG_PICTURES = (b"\x80theora", b"\x01video")
"""First bytes of Ogg's streams of pictures, which begin at zero (Theora I, A.2.3)."""

_SYNC = 0x47
_MAX_PES_HEADER_BYTES = 40

_STREAM_IDS = frozenset((0xBD, *range(0xC0, 0xF0)))
"""Private stream 1, audio and video."""


def first_timestamp(stored: StoredObject) -> float | None:
    """The earliest timestamp of all streams, in seconds of the container's own clock; None for any other container."""
    head = stored.read(0, HEAD_BYTES)
    if head.startswith(b"OggS"):
        return 0.0 if any(picture in head for picture in OGG_PICTURES) else None
    size = _ts_packet_size(head)
    if not size and not head.startswith(PACK_START):
        return None
    head = stored.read(0, MAX_BYTES)
    times = list(_ts_times(head, size) if size else _ps_times(head))
    if not times:
        return None
    before_first = ((times[0] - time) % CLOCK_CYCLE for time in times)
    lead = max(lead for lead in before_first if lead <= MAX_LEAD_SECONDS * CLOCK_HZ)
    return (times[0] - lead) % CLOCK_CYCLE / CLOCK_HZ


def _ts_packet_size(head: bytes) -> int | None:
    for size in TS_PACKET_SIZES:
        offset = size - 188 if size == 192 else 0
        marks = head[offset : offset + 5 * size : size]
        if marks and set(marks) == {_SYNC}:
            return size
    return None


def _ts_times(head: bytes, size: int) -> Iterator[int]:
    begin = 4 if size == 192 else 0
    for offset in range(begin, len(head) - 188, size):
        if head[offset] != _SYNC or not head[offset + 1] & 0x40:
            continue
        adaptation = head[offset + 4] + 1 if head[offset + 3] & 0x20 else 0
        payload = head[offset + 4 + adaptation : offset + 188]
        yield from _pes_time(payload)


def _ps_times(head: bytes) -> Iterator[int]:
    offset = 0
    while 0 <= offset < len(head) - _MAX_PES_HEADER_BYTES:
        if head[offset : offset + 3] != PREFIX:
            offset = head.find(PREFIX, offset)
        elif head[offset + 3] == PACK_START[3]:
            offset += 12 if head[offset + 4] >> 4 == 2 else 14 + (head[offset + 13] & 7)
        else:
            yield from _pes_time(head[offset : offset + _MAX_PES_HEADER_BYTES])
            offset += 6 + int.from_bytes(head[offset + 4 : offset + 6], "big")


def _pes_time(packet: bytes) -> Iterator[int]:
    """Its time; nothing if this is not the beginning of a PES packet with a time."""
    if len(packet) < 14 or packet[:3] != PREFIX:
        return
    if packet[3] not in _STREAM_IDS:
        return
    if packet[6] & 0xC0 == 0x80:
        if packet[7] & 0x80:
            yield _timestamp(packet[9:14])
        return
    rest = packet[6:].lstrip(b"\xff")
    if rest and rest[0] & 0xC0 == 0x40:
        rest = rest[2:]
    if len(rest) >= 5 and rest[0] & 0xE0 == 0x20:
        yield _timestamp(rest)


def _timestamp(field: bytes) -> int:
    return (field[0] & 0x0E) << 29 | field[1] << 22 | (field[2] & 0xFE) << 14 | field[3] << 7 | field[4] >> 1
