"""The declared length of each track of a WAV or AVI file.

Chunk layout: Microsoft's RIFF (AVISTREAMHEADER, WAVEFORMATEX), and EBU Tech 3306 for RF64.
"""

import struct
from collections.abc import Iterator

from reelscribe.media.stored_object import StoredObject

MAX_HEADER_BYTES = 1 << 20
"""Of an AVI's ``hdrl`` list, and of a WAV up to its ``data`` chunk; a cover picture may come before that."""

CONSTANT_RATE_TAGS = (1, 3, 6, 7, 0xFFFE)
"""PCM, float, A-law, mu-law, and the extensible form of these."""

PLACEHOLDERS = (range(0x7FFFF000, 0x80000000), range(0xFFFFF000, 0x100000000))
"""The lengths that writers leave if they cannot seek back."""


def track_seconds(stored: StoredObject) -> dict[int, float]:
    """Declared length of each track by ffmpeg's stream index; empty if the file is neither, or declares nothing."""
    head = stored.read(0, MAX_HEADER_BYTES) if stored.read(0, 4) in (b"RIFF", b"RF64") else b""
    try:
        if head[8:12] == b"WAVE":
            return _wav(head)
        return _avi(head) if head[8:12] == b"AVI " else {}
    except (struct.error, ZeroDivisionError):
        return {}  # damaged chunks are ffmpeg's to report


def _chunks(data: bytes, offset: int = 0) -> Iterator[tuple[bytes, int, bytes]]:
    """Kind, declared length and content (as far as it is in ``data``) of each chunk."""
    while offset + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, offset)
        yield kind, length, data[offset + 8 : offset + 8 + length]
        offset += 8 + length + length % 2


def _wav(head: bytes) -> dict[int, float]:
    bytes_per_second, wide_length = 0, 0
    for kind, length, content in _chunks(head, 12):
        if kind == b"ds64":
            wide_length = struct.unpack_from("<8xQ", content)[0]
        elif kind == b"fmt ":
            tag, bytes_per_second = struct.unpack_from("<H6xI", content)
            if tag not in CONSTANT_RATE_TAGS:
                return {}
        elif kind == b"data":
            if wide_length and length == 0xFFFFFFFF:
                return {0: wide_length / bytes_per_second}
            unknown = length == 0 or any(length in placeholders for placeholders in PLACEHOLDERS)
            return {} if unknown else {0: length / bytes_per_second}
    return {}


def _avi(head: bytes) -> dict[int, float]:
    header = next(
        (content for kind, _, content in _chunks(head, 12) if kind == b"LIST" and content[:4] == b"hdrl"), b""
    )
    streams = [content for kind, _, content in _chunks(header, 4) if kind == b"LIST" and content[:4] == b"strl"]
    return {index: seconds for index, stream in enumerate(streams) if (seconds := _avi_stream(stream))}


def _avi_stream(stream: bytes) -> float:
    header = next((content for kind, _, content in _chunks(stream, 4) if kind == b"strh"), b"")
    scale, rate, _, length = struct.unpack_from("<20x4I", header)
    return float(length * scale / rate)
