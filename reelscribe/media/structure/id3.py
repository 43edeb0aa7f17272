"""ID3v2 tags before the sound, and ID3v1 and APE tags after it.

id3.org: "ID3 tag version 2.4.0 - Main Structure", 3.1; "ID3v1"; hydrogenaudio: "APEv2 specification".
"""

from reelscribe.media.structure.bounded import Bytes

MAX_TAGS = 10


def after_id3(data: Bytes) -> int:
    """Where the sound starts."""
    position = 0
    for _ in range(MAX_TAGS):
        header = data.read(position, 10)
        if len(header) < 10 or not header.startswith(b"ID3"):
            break
        length = sum((byte & 0x7F) << shift for byte, shift in zip(header[6:10], (21, 14, 7, 0), strict=True))
        position += 10 + length + (10 if header[5] & 0x10 else 0)
    return position


def before_tags(data: Bytes) -> int:
    """Where the sound ends."""
    end = data.size
    if data.read(end - 128, 3) == b"TAG":
        end -= 128
    footer = data.read(end - 32, 32)
    if footer.startswith(b"APETAGEX"):
        end -= int.from_bytes(footer[12:16], "little") + (32 if footer[23] & 0x80 else 0)
    return max(0, end)
