"""MXF: partitions, and tracks with an edit rate and a sequence each.

SMPTE ST 377-1: 7.1 (partition pack), 9.3 (local sets), annex B (Track: EditRate, Sequence; Sequence: Duration).
"""

import struct
from collections.abc import Iterator

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import Structure

PARTITION = bytes.fromhex("060e2b34020501010d01020101")
LOCAL_SET = bytes.fromhex("060e2b34025301010d0101010101")
INSTANCE, DURATION, EDIT_RATE, SEQUENCE = b"\x3c\x0a", b"\x02\x02", b"\x4b\x01", b"\x48\x03"
MAX_SETS = 1_000
MAX_SET_BYTES = 1 << 12
FILL_BYTES = 1 << 12
"""That may align the header."""


def is_mxf(head: bytes) -> bool:
    return head.startswith(PARTITION)


def read(data: Bytes) -> Structure:
    start, end = _value(data, 0)
    footer, header_bytes = struct.unpack(">24xQQ", data.exactly(start, 40))
    cut = None
    if footer >= data.size:
        cut = f"the header says that its footer is at byte {footer:,}, the file ends at byte {data.size:,}"
    return Structure("mxf", None, _seconds(_sets(data, end, header_bytes)), cut)


def _value(data: Bytes, position: int) -> tuple[int, int]:
    """Start and end of the value of the set at ``position``; its length is coded as in BER."""
    first = data.exactly(position + 16, 1)[0]
    width = first & 0x7F if first & 0x80 else 0
    length = int.from_bytes(data.exactly(position + 17, width), "big") if width else first
    return position + 17 + width, position + 17 + width + length


def _sets(data: Bytes, position: int, header_bytes: int) -> Iterator[dict[bytes, bytes]]:
    """The items of each local set of the header, by tag."""
    limit = position + header_bytes + FILL_BYTES
    for _ in range(MAX_SETS):
        key = data.read(position, 16)
        if len(key) < 16 or position >= limit:
            return
        start, position = _value(data, position)
        if key.startswith(LOCAL_SET):
            yield _items(data.read(start, min(position - start, MAX_SET_BYTES)))


def _items(content: bytes) -> dict[bytes, bytes]:
    items, at = {}, 0
    while at + 4 <= len(content):
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        items[content[at : at + 2]] = content[at + 4 : at + 4 + length]
        at += 4 + length
    return items


def _seconds(sets: Iterator[dict[bytes, bytes]]) -> float | None:
    """Of the longest track."""
    rates, durations = {}, {}
    for items in sets:
        if len(items.get(EDIT_RATE, b"")) == 8 and SEQUENCE in items:
            numerator, denominator = struct.unpack(">II", items[EDIT_RATE])
            rates[items[SEQUENCE]] = numerator / denominator
        if len(items.get(DURATION, b"")) == 8 and INSTANCE in items:
            durations[items[INSTANCE]] = struct.unpack(">q", items[DURATION])[0]
    known = [durations[uid] / rate for uid, rate in rates.items() if rate > 0 and durations.get(uid, -1) > 0]
    return max(known, default=None)
