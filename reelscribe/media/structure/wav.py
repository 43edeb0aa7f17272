"""WAV (RIFF, RF64, BW64) and Sony's Wave64.

Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, ``fact``); EBU Tech 3306
(RF64); ITU-R BS.2088 (BW64); Sony Pictures Digital, "Wave64 file format".
"""

import struct
from collections.abc import Iterator

from reelscribe.media.structure import wave_format
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import Structure, ends_early, only
from reelscribe.media.structure.wave_format import WaveFormat

MAX_CHUNKS = 1_000
FORMS = (b"RIFF", b"RF64", b"BW64")
PLACEHOLDERS = (range(0x7FFF0000, 0x80001000), range(0xFFFF0000, 0x100000000))
"""The lengths that writers leave if they cannot seek back, give or take their header."""

W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")

Chunk = tuple[bytes, int, int]
"""Kind, where its content starts, and its declared length."""


def is_wav(head: bytes) -> bool:
    return head[:4] in FORMS and head[8:12] == b"WAVE"


def is_wave64(head: bytes) -> bool:
    return head.startswith(W64_RIFF)


def read(data: Bytes) -> Structure:
    return _described("wav", data, _chunks(data))


def read_wave64(data: Bytes) -> Structure:
    return _described("w64", data, _wave64_chunks(data))


def _chunks(data: Bytes) -> Iterator[Chunk]:
    position, wide = 12, None
    for _ in range(MAX_CHUNKS):
        header = data.read(position, 8)
        if len(header) < 8:
            return
        kind, length = struct.unpack("<4sI", header)
        if kind == b"ds64":
            wide = struct.unpack("<8xQ", data.exactly(position + 8, 16))[0]
        if kind == b"data" and length == 0xFFFFFFFF and wide and wide < 1 << 62:
            length = wide
        yield kind, position + 8, length
        position += 8 + length + length % 2


def _wave64_chunks(data: Bytes) -> Iterator[Chunk]:
    position = 40
    for _ in range(MAX_CHUNKS):
        header = data.read(position, 24)
        if len(header) < 24 or header[4:16] != _W64_TAIL:
            return
        length = struct.unpack_from("<Q", header, 16)[0]
        if length >= 1 << 62:
            length = 24
        yield header[:4], position + 24, max(0, length - 24)
        position += max(24, length + -length % 8)


def _described(container: str, data: Bytes, chunks: Iterator[Chunk]) -> Structure:
    form: WaveFormat | None = None
    samples, sound = None, None
    try:
        for kind, start, length in chunks:
            if kind == b"fmt ":
                form = wave_format.parse(data.read(start, min(length, 64)))
            elif kind == b"fact" and length >= 4:
                samples = int.from_bytes(data.read(start, 8 if container == "w64" else 4), "little")
            elif kind == b"data":
                sound = start, length
                break
    except Unreadable:
        pass  # what has been read counts
    if form is None:
        return Structure(container)
    if sound is None:
        return Structure(container, only(0, None, form.channels, form.microphones))
    return _with_sound(container, data, form, sound, samples)


def _with_sound(
    container: str, data: Bytes, form: WaveFormat, sound: tuple[int, int], samples: int | None
) -> Structure:
    start, length = sound
    present = data.size - start
    placeholder = length == 0 or (length > present and any(length in sizes for sizes in PLACEHOLDERS))
    wrapped = length < 1 << 32 <= present
    known = not placeholder and not wrapped
    seconds = form.seconds(length, samples) if known else None
    cut = ends_early(length, present) if known else None
    return Structure(container, only(0, seconds, form.channels, form.microphones), seconds, cut, form.seekable)
