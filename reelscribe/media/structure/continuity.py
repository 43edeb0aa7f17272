"""Whether the units of a container follow each other without a break: whether parts of the file are lost.

It reads the header of every unit, so it is asked only about recordings with holes.
"""

import struct
import zlib

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure import matroska
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.mpeg import transport_stream

MAX_UNITS = 5_000_000
TS_PACKETS_READ = 5_000
TS_SCRAMBLED = 0xC0
"""Bits of a packet's fourth byte (ISO/IEC 13818-1, 2.4.3.3: transport_scrambling_control)."""
MATROSKA_UNITS = (matroska.EBML_HEADER, matroska.SEGMENT, *matroska.IN_SEGMENT, *matroska.IN_CLUSTER)

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def is_continuous(stored: StoredObject, container: str) -> bool:
    """False if an Ogg, Matroska or TS file has something between its units, or some are missing, damaged or scrambled.

    True for any other.
    """
    data = Bytes(stored, times=MAX_UNITS)
    try:
        if container == "ogg":
            return _pages_follow(data)
        if container == "matroska":
            return _elements_follow(data)
        if container == "mpegts":
            return _packets_follow(data)
    except (Unreadable, struct.error):
        return False
    return True


def _pages_follow(data: Bytes) -> bool:
    position, numbers = 0, dict[int, int]()
    for _ in range(MAX_UNITS):
        head = data.read(position, 27)
        if len(head) < 27:
            return True
        flags, serial, number, segments = struct.unpack("<5xB8xII4xB", head)
        expected = 0 if flags & 2 else numbers.get(serial, number - 1) + 1
        if head[:4] != b"OggS" or number != expected:
            return False
        numbers[serial] = number
        end = position + 27 + segments + sum(data.read(position + 27, segments))
        if end <= data.size and not _is_intact(data.read(position, end - position)):
            return False
        position = end
    return True


def _is_intact(page: bytes) -> bool:
    """Whether its checksum is right: CRC-32 of zlib, but of the bits in another order, and without its inversions."""
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    checksum = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return checksum.to_bytes(4, "little").translate(_MIRRORED) == page[25:21:-1]


def _elements_follow(data: Bytes) -> bool:
    position = 0
    for _ in range(MAX_UNITS):
        if position >= data.size:
            return True
        element = matroska.element_at(data, position)
        if element is None or element.kind not in MATROSKA_UNITS:
            return data.size - position < 12
        inside = element.kind in (matroska.SEGMENT, matroska.CLUSTER) or element.end is None
        position = element.start if inside else element.end or data.size
    return True


def _packets_follow(data: Bytes) -> bool:
    """Whether each packet has its sync byte, and none is scrambled.

    Continuity counters say less: they jump where recordings are joined.
    """
    length, offset = transport_stream.packet_layout(data.read(0, 1024)) or (188, 0)
    for start in range(0, data.size - length, TS_PACKETS_READ * length):
        packets = data.read(start, TS_PACKETS_READ * length)
        scrambled = (flags & TS_SCRAMBLED for flags in set(packets[offset + 3 :: length]))
        if set(packets[offset::length]) - {transport_stream.SYNC} or any(scrambled):
            return False
    return True
