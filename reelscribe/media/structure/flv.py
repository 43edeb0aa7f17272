"""FLV: tags, each followed by its length.

Adobe, "Adobe Flash Video File Format Specification 10.1", annex E: E.2 (header), E.3 (PreviousTagSize), E.4 (tags), E.5
(onMetaData).
"""

import re
import struct

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import Structure, ends_early, only

HEADER_BYTES = 13
TOLERATED_SECONDS = 1.0
MOST = 1e15
HAS_AUDIO, HAS_VIDEO = 4, 1
AUDIO_TAG = 8
MAX_TAGS = 100
FIRST_BYTES = re.compile(rb"FLV\x01[\x01\x04\x05]\0\0\0\x09\0\0\0\0")
"""Of a file: version, which streams there are, size of the header, and that no tag comes before."""


def is_flv(head: bytes) -> bool:
    return head.startswith(b"FLV\x01")


def read(data: Bytes) -> Structure:
    """The length is that of onMetaData, unless the last tag or the file's size show that it is of another file."""
    flags = data.exactly(0, 5)[4]
    last = _last_time(data)
    stated, size = _stated(data, b"duration"), _stated(data, b"filesize")
    cut = "its last tag is cut" if last is None else None
    if last is not None and stated and size and last < stated - TOLERATED_SECONDS:
        cut = ends_early(int(size), data.size, "bytes")
    longer = (last is not None and stated and last > stated + TOLERATED_SECONDS) or (size and data.size > size)
    cut = cut or _codec_changes(data)
    seconds = None if longer else stated
    sound_only = flags & (HAS_AUDIO | HAS_VIDEO) == HAS_AUDIO
    return Structure("flv", only(0, seconds) if sound_only else None, seconds, cut)


def _codec_changes(data: Bytes) -> str | None:
    """The phrase if the last tag of sound is of another codec than the first: ffmpeg makes another stream of it."""
    first, last, position = None, None, HEADER_BYTES
    for _ in range(MAX_TAGS):
        header = data.read(position, 12)
        if len(header) < 12 or first is not None:
            break
        first = header[11] >> 4 if header[0] & 0x1F == AUDIO_TAG else None
        position += int.from_bytes(header[1:4], "big") + 15
    position = data.size
    for _ in range(MAX_TAGS):
        position -= int.from_bytes(data.read(position - 4, 4), "big") + 4
        header = data.read(position, 12) if position >= HEADER_BYTES else b""
        if len(header) < 12 or last is not None:
            break
        last = header[11] >> 4 if header[0] & 0x1F == AUDIO_TAG else None
    if first is None or last is None or first == last:
        return None
    return f"its sound continues in another codec (sound format {last} instead of {first})"


def stated_size(data: Bytes) -> int | None:
    """Of the file, in bytes, by onMetaData."""
    return int(_stated(data, b"filesize") or 0) or None


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


def _stated(data: Bytes, name: bytes) -> float | None:
    """A number of onMetaData: after its name come a marker and the number."""
    header = data.read(HEADER_BYTES, 11)
    if len(header) < 11 or header[0] & 0x1F != 18:
        return None
    script = data.read(HEADER_BYTES + 11, min(int.from_bytes(header[1:4], "big"), 1 << 16))
    key = len(name).to_bytes(2, "big") + name + b"\0"
    at = script.find(key) + len(key)
    if at < len(key) or len(script) < at + 8:
        return None
    number = struct.unpack_from(">d", script, at)[0]
    return float(number) if 0 < number < MOST else None
