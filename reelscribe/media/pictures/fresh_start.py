"""Whether nothing from a key frame on depends on what came before it, by the bytes of its packet; it imports nothing.

Containers call more pictures key frames than those: after a recovery point (H.264) or a clean random access (HEVC),
pictures may come that are shown before it and depend on earlier ones. After an instantaneous decoding refresh, none do.
"""

from collections.abc import Iterator

H264_PICTURES, H264_REFRESH = range(1, 6), (5,)
"""Types of ITU-T H.264, table 7-1: parts of pictures, and those of a refresh."""

HEVC_PICTURES, HEVC_REFRESH = range(32), (19, 20)
"""The same of ITU-T H.265, table 7-1."""

START = b"\0\0\1"

MOST_HEADER_BYTES = 512
"""Of a unit; what is asked for is there."""


def is_fresh_start(codec: str, extradata: bytes | None, packet: bytes) -> bool:
    """Whether a packet begins with an instantaneous decoding refresh.

    Args:
        codec: ``h264`` or ``hevc``.
        extradata: of its stream; says how the units in a packet are separated.
    """
    pictures, refresh = (H264_PICTURES, H264_REFRESH) if codec == "h264" else (HEVC_PICTURES, HEVC_REFRESH)
    for unit in units(codec, extradata or b"", packet):
        kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        if kind in pictures:
            return kind in refresh
    return False


def units(codec: str, extradata: bytes, packet: bytes) -> Iterator[bytes]:
    """The first :data:`MOST_HEADER_BYTES` of each unit of a packet; none is empty."""
    length_bytes, place = _length_bytes(codec, extradata), 0
    while True:
        if length_bytes:
            begin = place + length_bytes
            place = begin + int.from_bytes(packet[place:begin], "big")
        else:
            found = packet.find(START, place)
            begin = place = found + len(START) if found >= 0 else len(packet)
        if begin >= len(packet):
            return
        yield packet[begin : begin + MOST_HEADER_BYTES]


def _length_bytes(codec: str, extradata: bytes) -> int:
    """Of the length before each unit (ISO/IEC 14496-15, avcC and hvcC); 0 if they are separated by start codes."""
    place = 4 if codec == "h264" else 21
    return (extradata[place] & 3) + 1 if len(extradata) > place and extradata[0] == 1 else 0
