"""ASF: WMA and WMV.

Microsoft, "Advanced Systems Format (ASF) Specification" 01.20.06: 3.2 (File Properties), 3.3 (Stream Properties), 4.1
(Extended Stream Properties), 5.1 (Data Object).
"""

import struct
import uuid
from collections.abc import Iterator

from reelscribe.media.structure import wave_format
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import AudioTrack, Structure, ends_early


def _guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


HEADER = _guid("75B22630-668E-11CF-A6D9-00AA0062CE6C")
DATA = _guid("75B22636-668E-11CF-A6D9-00AA0062CE6C")
FILE_PROPERTIES = _guid("8CABDCA1-A947-11CF-8EE4-00C00C205365")
STREAM_PROPERTIES = _guid("B7DC0791-A9B7-11CF-8EE6-00C00C205365")
HEADER_EXTENSION = _guid("5FBF03B5-A92E-11CF-8EE3-00C00C205365")
EXTENDED_STREAM = _guid("14E6A5CB-C672-4332-8399-A96952065B5A")
AUDIO = _guid("F8699E40-5B4D-11CF-A8FD-00805F5C442B")

MAX_HEADER_BYTES = 4 << 20
MAX_OBJECTS = 1_000


def is_asf(head: bytes) -> bool:
    return head.startswith(HEADER)


def read(data: Bytes) -> Structure:
    length = struct.unpack("<16xQ", data.exactly(0, 24))[0]
    header = data.read(0, min(length, MAX_HEADER_BYTES))
    packets, seconds, broadcast, packet_bytes = 0, None, True, 0
    streams: list[tuple[bool, wave_format.WaveFormat | None]] = []
    for kind, content in _objects(header, 30):
        if kind == FILE_PROPERTIES and len(content) >= 80:
            packets, play, _, preroll, flags, packet_bytes = struct.unpack_from("<32xQQQQII", content)
            broadcast = bool(flags & 1)
            seconds = max(0.0, play / 1e7 - preroll / 1e3) if not broadcast and play < 1 << 62 else None
        elif kind == STREAM_PROPERTIES:
            streams.append(_stream(content))
        elif kind == HEADER_EXTENSION:
            streams += _extended_streams(content)
    alone = seconds or None if len(streams) == 1 else None
    audio = tuple(
        AudioTrack(index, alone, form.channels if form else None, bool(form and form.microphones))
        for index, (is_audio, form) in enumerate(streams)
        if is_audio
    )
    cut = None if broadcast or not packets else _cut(data, length, packets, packet_bytes)
    return Structure("asf", audio if streams else None, seconds or None, cut, not broadcast and cut is None)


def stated_size(data: Bytes) -> int | None:
    """Of the file, in bytes; None if it is a broadcast."""
    length = struct.unpack("<16xQ", data.exactly(0, 24))[0]
    for kind, content in _objects(data.read(0, min(length, MAX_HEADER_BYTES)), 30):
        if kind == FILE_PROPERTIES and len(content) >= 80:
            return int.from_bytes(content[16:24], "little") or None
    return None


def _objects(content: bytes, offset: int) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(MAX_OBJECTS):
        if offset + 24 > len(content):
            return
        kind, length = content[offset : offset + 16], int.from_bytes(content[offset + 16 : offset + 24], "little")
        yield kind, content[offset + 24 : offset + max(24, length)]
        offset += max(24, length)


def _stream(content: bytes) -> tuple[bool, wave_format.WaveFormat | None]:
    if content[:16] != AUDIO:
        return False, None
    try:
        return True, wave_format.parse(content[54 : 54 + int.from_bytes(content[40:44], "little")])
    except Unreadable:
        return True, None


def _extended_streams(content: bytes) -> list[tuple[bool, wave_format.WaveFormat | None]]:
    """The streams that are described only inside their extended properties."""
    streams = []
    for kind, extended in _objects(content, 22):
        at = extended.find(STREAM_PROPERTIES) if kind == EXTENDED_STREAM else -1
        if at >= 64:
            streams.append(_stream(extended[at + 24 :]))
    return streams


def _cut(data: Bytes, position: int, packets: int, packet_bytes: int) -> str | None:
    header = data.read(position, 50)
    if len(header) < 50 or header[:16] != DATA:
        return ends_early(packets, 0, "packets")
    present = (data.size - position - 50) // packet_bytes if packet_bytes else packets
    return ends_early(packets, present, "packets")
