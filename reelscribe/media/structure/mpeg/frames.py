"""Sound without a container: frames with a header each, the last of which may be cut.

No length is stated, but by the first frame of some MP3.

ISO/IEC 11172-3, 2.4.2.3 (MPEG audio); ISO/IEC 13818-7, 6.2 (ADTS); ETSI TS 102 366, 5.4.1 and E.1.3.1 (AC-3, E-AC-3);
ETSI TS 102 114, 5.4 (DTS); RFC 4867, 5.3 (AMR). gabriel.mp3-tech.org: "Mp3 Info Tag revision 1 Specifications" (Xing,
Info, LAME); mp3-tech.org: "VBRI header".
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import AudioTrack, Structure, ends_early, only, stops_inside
from reelscribe.media.structure.id3 import after_id3, before_tags

FrameLength = Callable[[bytes], int]
"""Bytes of the frame that a header begins; 0 if it is none."""

HEADER_BYTES = 8
FIRST_BYTES = b"\xff\x0b\x7f"
PROBES = 8
PROBE_BYTES = 1 << 13
CHAIN = 3
"""So many frames in a row are no coincidence."""

MAX_AMR_BYTES = 1 << 18
"""AMR has no sync words: only a short file is read from its start."""

AMR_READ_BYTES = 1 << 18
AMR_SECONDS = 0.02
MOST_AMR_FRAMES = 20 * 3600 * 50
"""Of 0.02 s, that are counted."""
LARGER_LIMITS = 16

TOLERATED_BYTES = 4_096
"""Some writers count the tags, or leave out the first frame."""

_BIT_RATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""In kbit/s, by whether it is MPEG-1 and by layer."""

_AC3_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AMR_SIZES = (12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0)
_AMR_WB_SIZES = (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 0, 0, 0, 0, 0, 0)


CAPTURED = ("aac", "mp3")
"""Of internet radio."""


@dataclass(frozen=True)
class MpegFrame:
    """Of MPEG audio: layers 1 to 3 of MPEG-1, 2 and 2.5."""

    length: int
    samples: int
    rate: int
    channels: int
    side_bytes: int


def mpeg_frame(header: bytes) -> MpegFrame | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer, code, rate_code = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3), header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or code in (0, 15) or rate_code == 3:
        return None
    first, mono = version == 3, header[3] >> 6 == 3
    rate = (44_100, 48_000, 32_000)[rate_code] >> {3: 0, 2: 1, 0: 2}[version]
    bits = 1000 * _BIT_RATES[first, layer][code - 1]
    padding = header[2] >> 1 & 1
    if layer == 1:
        return MpegFrame((12 * bits // rate + padding) * 4, 384, rate, 1 if mono else 2, 0)
    samples = 576 if layer == 3 and not first else 1152
    side = (17 if mono else 32) if first else (9 if mono else 17)
    return MpegFrame(samples // 8 * bits // rate + padding, samples, rate, 1 if mono else 2, side)


def mpeg_length(header: bytes) -> int:
    frame = mpeg_frame(header)
    return frame.length if frame else 0


def adts_length(header: bytes) -> int:
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length >= 7 else 0


def ac3_length(header: bytes) -> int:
    if len(header) < 6 or header[:2] != b"\x0b\x77":
        return 0
    if header[5] >> 3 > 10:  # E-AC-3
        return ((header[2] & 7) << 8 | header[3]) * 2 + 2
    rate_code, size_code = header[4] >> 6, header[4] & 0x3F
    if rate_code == 3 or size_code // 2 >= len(_AC3_RATES):
        return 0
    rate = _AC3_RATES[size_code // 2]
    return 2 * (2 * rate, rate * 320 // 147 + size_code % 2, 3 * rate)[rate_code]


def dts_length(header: bytes) -> int:
    if len(header) < 8 or header[:4] != b"\x7f\xfe\x80\x01":
        return 0
    length = (int.from_bytes(header[5:8], "big") >> 4 & 0x3FFF) + 1
    return length if length >= 96 else 0


FORMATS: tuple[tuple[str, FrameLength, bytes, int], ...] = (
    ("aac", adts_length, rb"\xff[\xf0\xf1\xf8\xf9]", 8191),
    ("ac3", ac3_length, rb"\x0b\x77", 4096),
    ("dts", dts_length, rb"\x7f\xfe\x80\x01", 16384),
    ("mp3", mpeg_length, rb"\xff[\xe2-\xff]", 2881),
)
"""Name, frame length, what a frame begins with, and the longest frame in bytes."""


def detect(head: bytes) -> tuple[str, int] | None:
    """The format of which ``head`` has some frames in a row, and where: a capture may begin within a frame."""
    for name, length, _, _ in FORMATS:
        if _in_a_row(head, 0, length):
            return name, 0
    for name, length, sync, longest in FORMATS:
        for found in re.finditer(sync, head[:longest], re.DOTALL) if name in CAPTURED else ():
            if _in_a_row(head, found.start(), length):
                return name, found.start()
    return None


def read(data: Bytes, name: str, begins: int) -> Structure:
    """The structure of a file that has frames only; with several tracks in one stream there is but one."""
    joined = name == "aac" and _changes_rate(data, begins)
    return Structure(name, only(0, None), cut=last_frame_cut(data, name), joined=joined, begins=begins)


def _changes_rate(data: Bytes, begins: int) -> bool:
    """Whether ADTS has another sampling frequency later: ffmpeg measures its time by the first one throughout."""
    rates = set()
    for step in range(PROBES):
        last = max(0, data.size - begins - PROBE_BYTES)
        content = data.read(begins + last * step // (PROBES - 1), PROBE_BYTES)
        found = (match.start() for match in re.finditer(FORMATS[0][2], content, re.DOTALL))
        at = next((position for position in found if _in_a_row(content, position, adts_length)), None)
        rates |= set() if at is None else {content[at + 2] >> 2 & 15}
    return len(rates) > 1


def last_frame_cut(data: Bytes, name: str) -> str | None:
    """The phrase if the last frame is cut; what follows the frames, such as tags, is not looked at."""
    length, sync, longest = next(entry[1:] for entry in FORMATS if entry[0] == name)
    end = before_tags(data)
    start = max(after_id3(data), end - 4 * longest)
    tail = data.read(start, end - start)
    begins = (found.start() for found in re.finditer(sync, tail, re.DOTALL))
    at = next((position for position in begins if _in_a_row(tail, position, length)), len(tail))
    while at < len(tail) and (size := length(tail[at : at + HEADER_BYTES])):
        if at + size > len(tail):
            return stops_inside("the last frame", start + at, start + at + size, end)
        at += size
    begun = tail[at : at + HEADER_BYTES]
    if 0 < len(begun) < HEADER_BYTES and begun[0] in FIRST_BYTES:
        return f"its last {len(begun)} bytes are the start of a frame"
    return None


def _in_a_row(content: bytes, at: int, length: FrameLength) -> bool:
    for count in range(CHAIN):
        size = length(content[at : at + HEADER_BYTES])
        if not size:
            return False
        at += size
        if at >= len(content):
            return count > 0
    return True


def is_amr(head: bytes) -> bool:
    return head.startswith((b"#!AMR\n", b"#!AMR-WB\n"))


def read_amr(data: Bytes) -> Structure:
    cut = None
    if data.size <= MAX_AMR_BYTES:
        for start, end in _amr_frames(data):
            cut = stops_inside("the last frame", start, end, data.size)
    return Structure("amr", (AudioTrack(0, None, 1, pauses=True),), cut=cut)


def amr_seconds(stored: StoredObject) -> float | None:
    """The length of AMR, with the frames that hold no sound; asked after decoding, as all of it is read.

    None if it is longer than :data:`MOST_AMR_FRAMES`: a byte may be a frame.
    """
    data = Bytes(stored, times=LARGER_LIMITS)
    count = 0
    try:
        for _, end in _amr_frames(data):
            count += end <= data.size
            if count > MOST_AMR_FRAMES:
                return None
    except Unreadable:
        return None
    return AMR_SECONDS * count


def _amr_frames(data: Bytes) -> Iterator[tuple[int, int]]:
    wide = data.read(0, 9) == b"#!AMR-WB\n"
    sizes, end = (_AMR_WB_SIZES, 9) if wide else (_AMR_SIZES, 6)
    while end < data.size:
        first = end
        content = data.read(first, AMR_READ_BYTES)
        while end - first < len(content):
            start, end = end, end + 1 + sizes[content[end - first] >> 3 & 15]
            yield start, end


@dataclass(frozen=True)
class Stated:
    """By the first frame; None for what it does not state."""

    frames: int | None
    size: int | None
    trimmed: int = 0


def read_mp3(data: Bytes) -> Structure:
    start = after_id3(data)
    head = data.read(start, 512)
    frame = mpeg_frame(head)
    if frame is None:
        return Structure("mp3")
    stated = _stated(head, frame)
    if stated is None:
        return Structure("mp3", only(0, None, frame.channels), cut=last_frame_cut(data, "mp3"))
    present = before_tags(data) - start
    if stated.size and present > stated.size * 1.01 + TOLERATED_BYTES:  # something was appended
        return Structure("mp3", only(0, None, frame.channels), cut=last_frame_cut(data, "mp3"))
    cut = ends_early(stated.size, data.size) if stated.size and data.size + TOLERATED_BYTES < stated.size else None
    cut = cut or last_frame_cut(data, "mp3")
    samples = stated.frames * frame.samples - stated.trimmed if stated.frames else 0
    seconds = samples / frame.rate if samples > 0 else None
    return Structure("mp3", only(0, seconds, frame.channels), seconds, cut)


def _stated(head: bytes, frame: MpegFrame) -> Stated | None:
    if head[36:40] == b"VBRI":
        size, frames = struct.unpack_from(">II", head, 46)
        return Stated(frames or None, size or None)
    at = 4 + frame.side_bytes
    if head[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags = int.from_bytes(head[at + 4 : at + 8], "big")
    at += 8
    values: list[int | None] = []
    for bit in (1, 2):
        values.append(int.from_bytes(head[at : at + 4], "big") or None if flags & bit else None)
        at += 4 * bool(flags & bit)
    at += 100 * bool(flags & 4) + 4 * bool(flags & 8)
    trim = int.from_bytes(head[at + 21 : at + 24], "big") if head[at : at + 4] in (b"LAME", b"Lavf", b"Lavc") else 0
    return Stated(values[0], values[1], (trim >> 12) + (trim & 0xFFF))
