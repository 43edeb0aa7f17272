"""Whether a file ends in the middle of one of its units, which shows a cut even if no length is declared."""

from reelscribe.media.mp4_tracks import ends_inside_a_box
from reelscribe.media.stored_object import StoredObject

TS_PACKET_BYTES = 188
MAX_OGG_PAGE_BYTES = 65_307
FLV_HEADER_BYTES = 13


def ends_abruptly(stored: StoredObject) -> bool:
    """Whether an Ogg page, an FLV tag, a TS packet or an MP4 box is cut at the end; False for any other container."""
    head = stored.read(0, 2 * TS_PACKET_BYTES + 1)
    if head.startswith(b"OggS"):
        return _ends_inside_a_page(stored)
    if head.startswith(b"FLV"):
        return _ends_inside_a_tag(stored)
    if head[::TS_PACKET_BYTES] == b"GGG":
        return stored.size % TS_PACKET_BYTES != 0
    return ends_inside_a_box(stored)


def _ends_inside_a_page(stored: StoredObject) -> bool:
    tail = stored.read(max(0, stored.size - MAX_OGG_PAGE_BYTES), MAX_OGG_PAGE_BYTES)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    segments = page[26] if len(page) > 26 else 0
    end = 27 + segments + sum(page[27 : 27 + segments])
    return len(page) < end or page[end:] in (b"O", b"Og", b"Ogg")


def _ends_inside_a_tag(stored: StoredObject) -> bool:
    """Every tag is followed by its length: 11 bytes of header, and its data."""
    if stored.size <= FLV_HEADER_BYTES:
        return True
    length = int.from_bytes(stored.read(stored.size - 4, 4), "big")
    start = stored.size - 4 - length
    data_length = int.from_bytes(stored.read(start + 1, 3), "big") if start >= FLV_HEADER_BYTES else -1
    return data_length + 11 != length
