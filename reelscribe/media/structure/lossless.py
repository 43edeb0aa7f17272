"""TTA, WavPack, Monkey's Audio (APE) and TAK: headers that state samples.

tta.sourceforge.net, "TTA1 format"; wavpack.com, "WavPack 4 & 5 Binary File / Block Format"; Monkey's Audio SDK,
``MACLib.h`` (APE_DESCRIPTOR, APE_HEADER); thbeck.de, "TAK developers' kit", and ffmpeg's ``libavcodec/tak.h``.
"""

import struct

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import Structure, ends_early, only, stops_inside
from reelscribe.media.structure.id3 import after_id3

UNKNOWN = 0xFFFFFFFF
WAVPACK_RATES = (
    *(6000, 8000, 9600, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000, 192000),
    0,
)
WAVPACK_WINDOWS = (1 << 16, 1 << 19)
PROBES = 4
MAX_SYNCS = 50
MAX_TAG_BYTES = 1 << 14
"""Looked through for a recording that was appended."""
MAX_TTA_FRAMES = 1 << 18
MAX_BLOCKS = 200_000


def read_tta(data: Bytes) -> Structure:
    start = after_id3(data)
    channels, _, rate, samples = struct.unpack("<6xHHII", data.exactly(start, 18))
    seconds = samples / rate if samples not in (0, UNKNOWN) else None
    end = tta_end(data)
    if end and b"TTA1" in data.read(end, MAX_TAG_BYTES):  # another one was appended
        return Structure("tta", only(0, None, channels))
    cut = ends_early(end - start, data.size - start) if end else None
    return Structure("tta", only(0, seconds, channels), seconds, cut, seekable=seconds is not None)


def tta_end(data: Bytes) -> int | None:
    """Where the last frame ends, by the table of frames; None if there is none."""
    start = after_id3(data)
    rate = int.from_bytes(data.exactly(start, 18)[10:14], "little")
    samples = int.from_bytes(data.exactly(start, 18)[14:], "little")
    frames = -(-samples // (256 * rate // 245))
    if samples in (0, UNKNOWN) or frames > MAX_TTA_FRAMES:
        return None
    table = data.read(start + 22, 4 * frames)
    sizes: tuple[int, ...] = struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4])
    return start + 22 + 4 * frames + 4 + sum(sizes)


def read_wavpack(data: Bytes) -> Structure:
    start = after_id3(data)
    high, samples, flags = struct.unpack("<11xBI8xI", data.exactly(start, 28))
    rate = WAVPACK_RATES[flags >> 23 & 15]
    total = 0 if samples == UNKNOWN else samples + (high << 32) - high
    single = flags & 0x1800 == 0x1800
    channels = (1 if flags & 4 else 2) if single else None
    blocks = [block for step in range(1, PROBES + 1) if (block := _last_block(data, step))]
    ends = [block[2] for block in blocks]
    appended = ends != sorted(ends) or (total and ends and ends[-1] > total)
    seconds = (total + (ends[-1] if appended else 0)) / rate if rate and total else None
    cut = stops_inside("the last block", *blocks[-1][:2], data.size) if blocks else None
    seekable = seconds is not None and not appended
    return Structure("wavpack", only(0, seconds, channels), seconds, cut, seekable, joined=bool(appended))


def wavpack_end(data: Bytes) -> int | None:
    """Where the first block that no other follows immediately ends."""
    position = after_id3(data)
    for _ in range(MAX_BLOCKS):
        header = data.read(position, 8)
        if not header.startswith(b"wvpk") or len(header) < 8:
            return position
        position += 8 + int.from_bytes(header[4:], "little")
    return None


def _last_block(data: Bytes, step: int) -> tuple[int, int, int] | None:
    """Start and end of the last block of a part of the file, and the sample at which it ends."""
    part = data.size * step // PROBES
    for window in WAVPACK_WINDOWS:
        start = max(0, part - window)
        content = data.read(start, part - start)
        at = len(content)
        for _ in range(MAX_SYNCS):
            at = content.rfind(b"wvpk", 0, at)
            if at < 0:
                break
            header = content[at : at + 24]
            if len(header) == 24:
                size, version, high, _, low, samples = struct.unpack("<4xIHBB4xII", header)
                if 0x402 <= version <= 0x410 and size < 1 << 24:
                    return start + at, start + at + 8 + size, (high << 32) + low + samples
    return None


def read_ape(data: Bytes) -> Structure:
    start = after_id3(data)
    version = struct.unpack("<4xH", data.exactly(start, 6))[0]
    if version < 3980:
        return Structure("ape", only(0, None))
    lengths = struct.unpack("<7I", data.exactly(start + 8, 28))
    header_start = start + lengths[0]
    blocks, last, frames, _, channels, rate = struct.unpack("<4xIIIHHI", data.exactly(header_start, 24))
    seconds = ((frames - 1) * blocks + last) / rate if frames and rate else None
    sound = lengths[4] + (lengths[5] << 32)
    before = lengths[0] + lengths[1] + lengths[2] + lengths[3]
    cut = ends_early(before + sound, data.size - start)
    if b"MAC " in data.read(start + before + sound + lengths[6], MAX_TAG_BYTES):  # another one was appended
        return Structure("ape", only(0, None, channels))
    return Structure("ape", only(0, seconds, channels), seconds, cut, seekable=seconds is not None)


def ape_end(data: Bytes) -> int | None:
    """Where the sound and what belongs to it end, by the header."""
    start = after_id3(data)
    version, *lengths = struct.unpack("<4xH2x7I", data.exactly(start, 36))
    return int(start + sum(lengths) + (lengths[5] << 32) - lengths[5]) if version >= 3980 else None


def read_tak(data: Bytes) -> Structure:
    position = after_id3(data) + 4
    for _ in range(100):
        header = data.exactly(position, 4)
        kind, length = header[0] & 0x7F, int.from_bytes(header[1:4], "little")
        if kind == 1:
            bits = int.from_bytes(data.exactly(position + 4, min(length, 16)), "little") >> 6 + 4 + 4
            samples, rate, channels = bits & (1 << 35) - 1, (bits >> 38 & 0x3FFFF) + 6000, (bits >> 61 & 15) + 1
            seconds = samples / rate if samples else None
            return Structure("tak", only(0, seconds, channels), seconds, None, seekable=seconds is not None)
        if kind == 0:
            break
        position += 4 + length
    return Structure("tak", only(0, None))
