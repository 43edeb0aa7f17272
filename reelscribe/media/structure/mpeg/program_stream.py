"""MPEG program streams and VOB: no list of tracks and no length; a pack or packet may be cut at the end.

ISO/IEC 13818-1: 2.5.3.3 (packs), 2.5.3.5 (system header), 2.4.3.6 (PES packets); ISO/IEC 11172-1: 2.4.3 (MPEG-1).
"""

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import Structure, stops_inside

PREFIX = b"\0\0\x01"
PACK, END, FIRST_PACKET = 0xBA, 0xB9, 0xBB
TAIL_WINDOWS = (1 << 16, 1 << 19)
MAX_UNITS = 1_000


def is_program_stream(head: bytes) -> bool:
    return (head.startswith(PREFIX + bytes([PACK])) and head[4] >> 6 == 1) or head[:5] == PREFIX + b"\xba\x21"


def read(data: Bytes) -> Structure:
    for window in TAIL_WINDOWS:
        start, tail = data.tail(window)
        at = tail.find(PREFIX + bytes([PACK]))
        while at >= 0:
            reached, phrase = _walk(data, start + at)
            if reached:
                return Structure("mpeg", cut=phrase)
            at = tail.find(PREFIX + bytes([PACK]), at + 4)
    return Structure("mpeg")


def _walk(data: Bytes, position: int) -> tuple[bool, str | None]:
    """Whether packs and packets lead from here to the end of the file, and the phrase if the last one is cut."""
    for _ in range(MAX_UNITS):
        header = data.read(position, 14)
        if not header or (len(header) > 3 and not header.strip(b"\0")):
            return position > 0, None  # the end, or padding
        if not header.startswith(PREFIX[: len(header)]):
            return False, None
        if len(header) < 4 or (header[3] != END and len(header) < 6):
            return True, f"its last {len(header)} bytes are the start of a packet"
        if header[3] == END:
            length = 4
        elif header[3] == PACK:
            length = 12 if header[4] >> 4 == 2 else 14 + (header[13] & 7 if len(header) == 14 else 0)
        elif header[3] >= FIRST_PACKET:
            length = 6 + int.from_bytes(header[4:6], "big")
        else:
            return False, None
        if phrase := stops_inside("the last packet", position, position + length, data.size):
            return True, phrase
        position += length
    return True, None
