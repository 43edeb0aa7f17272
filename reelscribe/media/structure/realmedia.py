"""RealMedia: chunks as in an IFF file.

RealNetworks, "RealMedia File Format (RMFF) Reference": PROP, MDPR, DATA.
"""

import struct

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import AudioTrack, Structure, ends_early

MAX_CHUNKS = 200
TOLERATED_BYTES = 32
"""ffmpeg counts the header of its DATA chunk twice."""


def is_realmedia(head: bytes) -> bool:
    return head.startswith(b".RMF")


def read(data: Bytes) -> Structure:
    position, seconds, cut = 0, None, None
    streams: list[tuple[bool, float | None]] = []
    for _ in range(MAX_CHUNKS):
        header = data.read(position, 10)
        if len(header) < 10:
            break
        kind, length = struct.unpack_from(">4sI", header)
        if kind == b"PROP":
            milliseconds = struct.unpack(">20xI", data.exactly(position + 10, 24))[0]
            seconds = milliseconds / 1000 or None
        elif kind == b"MDPR":
            streams.append(_stream(data.exactly(position + 10, min(max(length, 42) - 10, 1024))))
        elif kind == b"DATA" and length > data.size - position + TOLERATED_BYTES:
            cut = ends_early(length, data.size - position)
        if length < 8:
            break
        position += length
    audio = tuple(AudioTrack(index, length) for index, (is_audio, length) in enumerate(streams) if is_audio)
    return Structure("rm", audio or None, seconds, cut)


def _stream(content: bytes) -> tuple[bool, float | None]:
    """Whether it is sound, and its length."""
    start, _, milliseconds = struct.unpack_from(">18xIII", content)
    at = 30 + 1 + content[30]
    mime = content[at + 1 : at + 1 + content[at]]
    return b"audio" in mime, (start + milliseconds) / 1000 if milliseconds else None
