"""WAV (RIFF, RF64, BW64), Sony's Wave64, and AVI, whose streams have a length each.

Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, ``fact``); EBU Tech 3306
(RF64); ITU-R BS.2088 (BW64); Sony Pictures Digital, "Wave64 file format"; Microsoft, "AVI RIFF File
Reference" (AVISTREAMHEADER); OpenDML AVI File Format Extensions 1.02.
"""

import struct
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from sys import byteorder

from reelscribe.media.structure import wave_format
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import AudioTrack, Structure, ends_early, only
from reelscribe.media.structure.wave_format import WaveFormat

MAX_CHUNKS = 1_000
FORMS = (b"RIFF", b"RF64", b"BW64")
PLACEHOLDERS = (range(0x7FFF0000, 0x80001000), range(0xFFFF0000, 0x100000000))
"""The lengths that writers leave if they cannot seek back, give or take their header."""

MAX_AVI_HEADER_BYTES = 1 << 20
MAX_AVI_INDEX_BYTES = 1 << 20
DELAY_TWICE_SECONDS = 0.1
SHORTEST_HOLE = 0.1
"""In seconds."""
MAX_HOLES = 100
AVI_UNKNOWN = (0, 0xFFFFFFFF)
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")

Chunk = tuple[bytes, int, int]
"""Kind, where its content starts, and its declared length."""


def is_wav(head: bytes) -> bool:
    return head[:4] in FORMS and head[8:12] == b"WAVE"


def is_wave64(head: bytes) -> bool:
    return head.startswith(W64_RIFF)


def read_wav(data: Bytes) -> Structure:
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
    track = AudioTrack(0, seconds, form.channels, form.microphones, decoder=form.decoder)
    return Structure(container, (track,), seconds, cut, form.seekable)


def is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVI\x19")


@dataclass(frozen=True)
class _Stream:
    """Of an AVI. ``unit`` is the seconds of one chunk; 0 if chunks hold any number of samples. ``start`` in seconds."""

    audio: bool = False
    start: float = 0.0
    seconds: float | None = None
    unit: float = 0.0
    form: WaveFormat | None = None


def read_avi(data: Bytes) -> Structure:
    header, index = b"", b""
    for kind, form, start, length in _avi_chunks(data):
        if kind == b"LIST" and form == b"hdrl":
            header = data.read(start + 4, min(length - 4, MAX_AVI_HEADER_BYTES))
        elif kind == b"idx1":
            index = data.read(start, min(length, MAX_AVI_INDEX_BYTES))
    lists = [content for kind, content in _inside(header) if kind == b"LIST" and content[:4] == b"strl"]
    streams = [_avi_stream(content[4:]) for content in lists]
    cut = _avi_cut(data)
    audio = tuple(_avi_track(index, number, stream) for number, stream in enumerate(streams) if stream.audio)
    return Structure(
        "avi",
        audio if streams else None,
        max((stream.seconds for stream in streams if stream.seconds), default=None),
        cut,
        seekable=cut is None and (bool(index) or b"indx" in header) and not any(track.holes for track in audio),
    )


def _avi_track(index: bytes, number: int, stream: _Stream) -> AudioTrack:
    holes, seconds = _holes(index, number, stream), stream.seconds
    if holes and abs(holes[0][1] - stream.start) <= DELAY_TWICE_SECONDS:
        # ffmpeg writes a delay twice, as a start and as empty chunks; it reads it once.
        seconds = None if seconds is None else seconds - holes[0][1]
        holes = holes[1:]
    channels = stream.form.channels if stream.form else None
    return AudioTrack(number, seconds, channels, bool(stream.form and stream.form.microphones), holes)


def _holes(index: bytes, number: int, stream: _Stream) -> tuple[tuple[float, float], ...]:
    """Start and length of each run of empty chunks, as far as the index was read."""
    words = array("I", index[: len(index) // 16 * 16])
    if byteorder == "big":
        words.byteswap()
    if not stream.unit or 0 not in words[3::4]:
        return ()
    name = int.from_bytes(b"%02dwb" % number, "little")
    runs: list[list[int]] = []
    sizes = (size for kind, size in zip(words[::4], words[3::4], strict=True) if kind == name)
    for count, size in enumerate(sizes):
        if size == 0 and runs and sum(runs[-1]) == count:
            runs[-1][1] += 1
        elif size == 0:
            runs.append([count, 1])
    holes = [(start * stream.unit, count * stream.unit) for start, count in runs]
    return tuple(hole for hole in holes if hole[1] >= SHORTEST_HOLE)[:MAX_HOLES]


def _avi_chunks(data: Bytes) -> Iterator[tuple[bytes, bytes, int, int]]:
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


def _avi_stream(content: bytes) -> _Stream:
    parts = dict(_inside(content))
    header = parts.get(b"strh", b"")
    if len(header) < 48:
        return _Stream(audio=header[:4] == b"auds")
    audio = header[:4] == b"auds"
    scale, rate, start, length, sample_bytes = struct.unpack_from("<20x4I8xI", header)
    unit = scale / rate if rate and scale else 0.0
    seconds = (start + length) * unit if unit and length not in AVI_UNKNOWN else None
    form = None
    if audio:
        with suppress(Unreadable):
            form = wave_format.parse(parts.get(b"strf", b""))
    return _Stream(audio, start * unit, seconds, 0.0 if sample_bytes else unit, form)


def _avi_cut(data: Bytes) -> str | None:
    """OpenDML continues in further RIFF chunks; what follows the last of them is not part of it."""
    position = 0
    for _ in range(MAX_CHUNKS):
        header = data.read(position, 12)
        if len(header) < 12 or header[:4] != b"RIFF" or header[8:11] != b"AVI":
            return None
        length = int.from_bytes(header[4:8], "little")
        if length in AVI_UNKNOWN:
            return None
        if phrase := ends_early(position + 8 + length, data.size, "bytes"):
            return phrase
        position += 8 + length + length % 2
    return None
