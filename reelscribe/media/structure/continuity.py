"""Whether the units of a container follow each other without a break: whether parts of the file are lost.

It reads the header of every unit, so it is asked only about recordings with holes.
"""

import struct

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure import matroska
from reelscribe.media.structure.bounded import Bytes, Unreadable

MAX_UNITS = 1_000_000
MATROSKA_UNITS = (matroska.EBML_HEADER, matroska.SEGMENT, *matroska.IN_SEGMENT, *matroska.IN_CLUSTER)


def is_continuous(stored: StoredObject, container: str) -> bool:
    """False if an Ogg or Matroska file has something between its units, or a page is missing; True for any other."""
    data = Bytes(stored, times=MAX_UNITS)
    try:
        if container == "ogg":
            return _pages_follow(data)
        if container == "matroska":
            return _elements_follow(data)
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
        position += 27 + segments + sum(data.read(position + 27, segments))
    return True


def _elements_follow(data: Bytes) -> bool:
    position = 0
    for _ in range(MAX_UNITS):
        if position >= data.size:
            return True
        element = matroska._element(data, position)
        if element is None or element.kind not in MATROSKA_UNITS:
            return data.size - position < 12
        inside = element.kind == matroska.SEGMENT or element.end is None
        position = element.start if inside else element.end or data.size
    return True
