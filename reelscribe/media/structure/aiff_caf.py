"""Apple's AIFF, AIFF-C and Core Audio Format.

"Audio Interchange File Format AIFF-C" (draft 08/26/91): COMM, SSND; "Core Audio Format Specification" 1.0: ``desc``,
``data``, ``pakt``, ``chan``.
"""

import struct

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import Structure, ends_early, only

MAX_CHUNKS = 1_000
ONE_SAMPLE_A_FRAME = (b"none", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"fl32", b"fl64", b"alaw", b"ulaw")
PLACEHOLDERS = (0, 0xFFFFFFFF)
SOX_BYTES = range(0x7F000000, 0x7F001000)
"""SoX writes this length, with the rest of the header, if it cannot seek back; and as many samples as that has."""

NO_LAYOUTS = (0xFFFF, 147)
"""Of a layout tag's upper half: unknown, and discrete in order."""


def is_aiff(head: bytes) -> bool:
    return head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")


def read_aiff(data: Bytes) -> Structure:
    position, common, laid_out, cut, known = 12, b"", False, None, True
    for _ in range(MAX_CHUNKS):
        header = data.read(position, 8)
        if len(header) < 8:
            break
        kind, length = struct.unpack(">4sI", header)
        if kind == b"COMM":
            common = data.exactly(position + 8, min(length, 22))
        elif kind == b"CHAN":
            laid_out = True
        elif kind == b"SSND":
            known = length not in (*PLACEHOLDERS, *SOX_BYTES)
            cut = ends_early(length, data.size - position - 8) if known else None
        position += 8 + length + length % 2
    if len(common) < 18:
        return Structure("aiff", cut=cut)
    channels, frames, _ = struct.unpack_from(">HIH", common)
    rate = _extended(common[8:18])
    exact = common[18:22].lower() in (b"", *ONE_SAMPLE_A_FRAME)
    seconds = frames / rate if exact and known and rate > 0 and frames not in PLACEHOLDERS else None
    return Structure("aiff", only(0, seconds, channels, channels > 2 and not laid_out), seconds, cut, exact)


def _extended(number: bytes) -> float:
    """An 80-bit float of IEEE 754."""
    exponent, mantissa = struct.unpack(">HQ", number)
    return float(mantissa * 2.0 ** (min(exponent & 0x7FFF, 16_383 + 64) - 16_383 - 63))


def is_caf(head: bytes) -> bool:
    return head.startswith(b"caff\0\x01")


def read_caf(data: Bytes) -> Structure:
    position = 8
    rate, packet_bytes, packet_frames, channels = 0.0, 0, 0, 0
    sound, valid, laid_out, cut = None, None, False, None
    for _ in range(MAX_CHUNKS):
        header = data.read(position, 12)
        if len(header) < 12:
            break
        kind, length = struct.unpack(">4sq", header)
        if kind == b"desc":
            rate, _, _, packet_bytes, packet_frames, channels = struct.unpack(">d4s4I", data.exactly(position + 12, 28))
        elif kind == b"pakt" and length >= 24:
            valid = struct.unpack(">8xq", data.exactly(position + 12, 16))[0]
        elif kind == b"chan" and length >= 12:
            laid_out = struct.unpack(">H", data.exactly(position + 12, 2))[0] not in NO_LAYOUTS
        elif kind == b"data" and length >= 4:
            sound = length - 4
            cut = ends_early(length, data.size - position - 12)
        if length < 0:
            break
        position += 12 + length
    constant = packet_bytes > 0 and packet_frames > 0
    frames = sound // packet_bytes * packet_frames if constant and sound is not None else valid
    seconds = frames / rate if frames and frames > 0 and rate > 0 else None
    audio = only(0, seconds, channels, channels > 2 and not laid_out) if channels else None
    return Structure("caf", audio, seconds, cut, seekable=constant or bool(valid))
