"""Sun's AU and Creative's VOC.

AU: Sun, audio(7I) manual page, ``<audio/au.h>``. VOC: "Creative Voice File Format" (1.20): block types 0 to 9.
"""

import struct

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import AS_THE_FIRST, OTHER_FORMAT, Structure, ends_early, only, stops_inside

AU_SAMPLE_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
"""By encoding: mu-law, linear, float, A-law."""

AU_UNKNOWN = (0, 0xFFFFFFFF)
VOC_MAGIC = b"Creative Voice File\x1a"
VOC_MAX_BLOCKS = 2_000


def is_au(head: bytes) -> bool:
    return head.startswith(b".snd")


def read_au(data: Bytes) -> Structure:
    start, size, encoding, rate, channels = struct.unpack(">4x5I", data.exactly(0, 24))
    width = AU_SAMPLE_BYTES.get(encoding, 0) * channels
    known = size not in AU_UNKNOWN
    seconds = size / (width * rate) if known and width and rate else None
    cut = ends_early(size, data.size - start) if known else None
    following = data.read(start + size, 24) if known else b""
    other = len(following) == 24 and is_au(following) and following[12:] != data.read(12, 12)
    unplayed = f"{OTHER_FORMAT}, is appended at byte {start + size:,}, {AS_THE_FIRST}" if other else None
    return Structure(
        "au", only(0, seconds, channels, channels > 2), seconds, cut, seekable=width > 0, unplayed=unplayed
    )


def is_voc(head: bytes) -> bool:
    return head.startswith(VOC_MAGIC)


def read_voc(data: Bytes) -> Structure:
    """Blocks follow each other up to one of type 0, which may be missing at the end of the file."""
    position = struct.unpack("<H", data.exactly(20, 2))[0]
    seconds, rate, channels, width, known = 0.0, 0.0, None, 0.0, True
    for _ in range(VOC_MAX_BLOCKS):
        header = data.read(position, 4)
        if len(header) < 4 or header[0] == 0:
            return Structure("voc", only(0, seconds if known and seconds else None, channels), seconds or None)
        length = int.from_bytes(header[1:4], "little")
        content = data.read(position + 4, min(length, 12))
        skipped = 0
        if header[0] == 1 and len(content) >= 2:
            rate, channels, width, skipped = 1e6 / (256 - content[0]), 1, {0: 1.0, 4: 2.0}.get(content[1], 0), 2
        elif header[0] == 9 and len(content) >= 12:
            rate, bits, channels, codec = struct.unpack_from("<IBBH", content)
            width, skipped = (bits / 8 * channels if codec in (0, 4, 6, 7) else 0), 12
        if header[0] in (1, 2, 9):
            known = known and rate > 0 and width > 0
            seconds += (length - skipped) / (rate * width) if known else 0
        elif header[0] in (6, 8):
            known = False
        elif header[0] == 3 and len(content) >= 3:
            seconds += (int.from_bytes(content[:2], "little") + 1) * (256 - content[2]) / 1e6
        if phrase := stops_inside("a block", position, position + 4 + length, data.size):
            declared = seconds if known else None
            return Structure("voc", only(0, declared, channels), declared, phrase)
        position += 4 + length
    return Structure("voc", only(0, None, channels))
