"""AVI: each stream has its own length.

Microsoft, "AVI RIFF File Reference" (AVIMAINHEADER, AVISTREAMHEADER); OpenDML AVI File Format Extensions 1.02.
"""

import struct
from collections.abc import Iterator

from reelscribe.media.structure import wave_format
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import AudioTrack, Structure, ends_early

MAX_CHUNKS = 1_000
MAX_HEADER_BYTES = 1 << 20
PLACEHOLDERS = (0, 0xFFFFFFFF)


def is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVI\x19")


def read(data: Bytes) -> Structure:
    header, indexed = b"", False
    for kind, form, start, length in _chunks(data):
        if kind == b"LIST" and form == b"hdrl":
            header = data.read(start + 4, min(length - 4, MAX_HEADER_BYTES))
        indexed = indexed or kind == b"idx1"
    streams = [content for kind, content in _inside(header) if kind == b"LIST" and content[:4] == b"strl"]
    described = [_stream(content[4:]) for content in streams]
    cut = _cut(data)
    return Structure(
        "avi",
        tuple(
            AudioTrack(index, seconds, channels, microphones)
            for index, (audio, seconds, channels, microphones) in enumerate(described)
            if audio
        )
        if described
        else None,
        max((seconds for _, seconds, _, _ in described if seconds), default=None),
        cut,
        seekable=cut is None and (indexed or b"indx" in header),
    )


def _chunks(data: Bytes) -> Iterator[tuple[bytes, bytes, int, int]]:
    """Kind, form of a list, start of the content and its length, of the chunks of the first RIFF."""
    position = 12
    for _ in range(MAX_CHUNKS):
        header = data.read(position, 12)
        if len(header) < 12:
            return
        kind, length, form = struct.unpack("<4sI4s", header)
        yield kind, form, position + 8, length
        position += 8 + length + length % 2


def _inside(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    for _ in range(MAX_CHUNKS):
        if offset + 8 > len(content):
            return
        kind, length = struct.unpack_from("<4sI", content, offset)
        yield kind, content[offset + 8 : offset + 8 + length]
        offset += 8 + length + length % 2


def _stream(content: bytes) -> tuple[bool, float | None, int | None, bool]:
    """Whether it is sound, when it ends, its channels, and whether these have no layout."""
    parts = dict(_inside(content))
    header = parts.get(b"strh", b"")
    if len(header) < 36:
        return False, None, None, False
    audio = header[:4] == b"auds"
    scale, rate, start, length = struct.unpack_from("<20x4I", header)
    seconds = (start + length) * scale / rate if rate and scale and length not in PLACEHOLDERS else None
    if not audio:
        return False, seconds, None, False
    try:
        form = wave_format.parse(parts.get(b"strf", b""))
    except Unreadable:
        return True, seconds, None, False
    return True, seconds, form.channels, form.microphones


def _cut(data: Bytes) -> str | None:
    """OpenDML continues in further RIFF chunks; what follows the last of them is not part of it."""
    position = 0
    for _ in range(MAX_CHUNKS):
        header = data.read(position, 12)
        if len(header) < 12 or header[:4] != b"RIFF" or header[8:11] != b"AVI":
            return None
        length = int.from_bytes(header[4:8], "little")
        if length in PLACEHOLDERS:
            return None
        if phrase := ends_early(position + 8 + length, data.size, "bytes"):
            return phrase
        position += 8 + length + length % 2
    return None
