"""FLV: tags, each followed by its length.

Adobe, "Adobe Flash Video File Format Specification 10.1", annex E: E.2 (header), E.3 (PreviousTagSize), E.4 (tags), E.5
(onMetaData).
"""

import struct

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import AudioTrack, Structure

HEADER_BYTES = 13
TOLERATED_SECONDS = 1.0
HAS_AUDIO, HAS_VIDEO = 4, 1


def is_flv(head: bytes) -> bool:
    return head.startswith(b"FLV\x01")


def read(data: Bytes) -> Structure:
    """The length is that of onMetaData, if the time of the last tag bears it out: a copy may leave an older one."""
    flags = data.exactly(0, 5)[4]
    last = _last_time(data)
    cut = "its last tag is cut" if last is None else None
    stated = _stated_duration(data)
    seconds = stated if stated and (last is None or last <= stated + TOLERATED_SECONDS) else None
    sound_only = flags & (HAS_AUDIO | HAS_VIDEO) == HAS_AUDIO
    return Structure("flv", (AudioTrack(0, seconds),) if sound_only else None, seconds, cut)


def _last_time(data: Bytes) -> float | None:
    """Time of the last tag in seconds; None if the file does not end with a tag and its length."""
    if data.size <= HEADER_BYTES:
        return None
    length = int.from_bytes(data.read(data.size - 4, 4), "big")
    start = data.size - 4 - length
    header = data.read(start, 11) if start >= HEADER_BYTES else b""
    if len(header) < 11 or int.from_bytes(header[1:4], "big") + 11 != length:
        return None
    return int.from_bytes(header[7:8] + header[4:7], "big") / 1000


def _stated_duration(data: Bytes) -> float | None:
    """``duration`` of onMetaData: its name, the marker of a number, and the number."""
    header = data.read(HEADER_BYTES, 11)
    if len(header) < 11 or header[0] & 0x1F != 18:
        return None
    script = data.read(HEADER_BYTES + 11, min(int.from_bytes(header[1:4], "big"), 1 << 16))
    at = script.find(b"\0\x08duration\0")
    if at < 0 or len(script) < at + 19:
        return None
    seconds = struct.unpack_from(">d", script, at + 11)[0]
    return float(seconds) if 0 < seconds < 1e7 else None
