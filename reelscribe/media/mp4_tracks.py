"""The declared length of each track of an MP4: the container's own length is only that of its longest track.

Box layout: ISO/IEC 14496-12, sections 4.2 (boxes), 8.2.2 (mvhd), 8.3.2 (tkhd), 8.4.2 (mdhd).
"""

import struct
from collections.abc import Iterator
from itertools import islice

from reelscribe.media.stored_object import StoredObject

MAX_MOOV_BYTES = 256 << 20
MAX_BOXES = 10_000
MAX_FRAGMENTS = 1_000_000

_FIRST_KINDS = (b"ftyp", b"moov", b"free", b"wide", b"mdat", b"skip", b"styp")


def track_seconds(stored: StoredObject) -> dict[int, float]:
    """Declared length of each track by its index (ffmpeg's stream index), its edit list applied.

    Empty if the file is not an MP4, is fragmented, or declares nothing.
    """
    try:
        moov = _read_moov(stored)
        return _tracks(moov) if moov else {}
    except (struct.error, OSError):
        return {}  # damaged boxes are ffmpeg's to report


def ends_inside_a_box(stored: StoredObject) -> bool:
    """Whether the boxes of an MP4 do not end with the file, or something is not a box; False for any other file."""
    end = 0
    try:
        for kind, position, _, length in islice(_top_level(stored), MAX_FRAGMENTS):
            if not kind.isalnum():
                return True
            end = position + length
    except (struct.error, OSError):
        return True
    return 0 < end != stored.size


def _read_moov(stored: StoredObject) -> bytes | None:
    for kind, position, start, length in islice(_top_level(stored), MAX_BOXES):
        if kind == b"moov":
            return stored.read(position + start, length - start) if length <= MAX_MOOV_BYTES else None
    return None


def _top_level(stored: StoredObject) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, position, header length and total length of each box of the file; nothing if it is not an MP4."""
    position = 0
    while len(header := stored.read(position, 16)) >= 8:
        kind, start, length = _box(header, 0, stored.size - position)
        if position == 0 and kind not in _FIRST_KINDS:
            return
        yield kind, position, start, length
        position += length


def _box(data: bytes, offset: int, remaining: int) -> tuple[bytes, int, int]:
    """Kind, header length and total length of the box at ``offset``."""
    length, kind = struct.unpack_from(">I4s", data, offset)
    if length == 1:
        return kind, 16, max(16, struct.unpack_from(">Q", data, offset + 8)[0])
    return kind, 8, max(8, length) if length else remaining


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    while offset + 8 <= len(data):
        kind, start, length = _box(data, offset, len(data) - offset)
        yield kind, data[offset + start : offset + length]
        offset += length


def _tracks(moov: bytes) -> dict[int, float]:
    boxes = list(_boxes(moov))
    movie_header = next((content for kind, content in boxes if kind == b"mvhd"), None)
    if movie_header is None or any(kind == b"mvex" for kind, _ in boxes):
        return {}
    movie_scale = struct.unpack_from(">I", movie_header, 20 if movie_header[:1] == b"\x01" else 12)[0]
    tracks = [content for kind, content in boxes if kind == b"trak"]
    return {index: seconds for index, track in enumerate(tracks) if (seconds := _track(track, movie_scale))}


def _track(track: bytes, movie_scale: int) -> float:
    header = next((content for kind, content in _boxes(track) if kind == b"tkhd"), b"")
    wide = header[:1] == b"\x01"
    duration = struct.unpack_from(">Q" if wide else ">I", header, 28 if wide else 20)[0]
    unknown = duration in (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
    return 0.0 if unknown or not movie_scale else float(duration / movie_scale)
