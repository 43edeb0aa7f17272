"""What a recording declares, from its bytes: its tracks, their lengths, and whether the file is cut."""

import struct
from collections.abc import Callable

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure import asf, avi, flac, matroska, mp4, mpeg_ts, ogg, wav
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import Structure
from reelscribe.media.structure.id3 import after_id3

HEAD_BYTES = 1 << 10

Matches = Callable[[bytes], bool]
Reader = Callable[[Bytes], Structure]

READERS: tuple[tuple[str, Matches, Reader], ...] = (
    ("matroska", matroska.is_matroska, matroska.read),
    ("mp4", mp4.is_mp4, mp4.read),
    ("wav", wav.is_wav, wav.read),
    ("w64", wav.is_wave64, wav.read_wave64),
    ("avi", avi.is_avi, avi.read),
    ("ogg", ogg.is_ogg, ogg.read),
    ("asf", asf.is_asf, asf.read),
    ("mpegts", lambda head: mpeg_ts.packet_layout(head) is not None, mpeg_ts.read),
)
"""Name of a container, whether a file's first bytes are of it, and its reader."""

AFTER_ID3: tuple[tuple[str, Matches, Reader], ...] = (("flac", lambda head: head.startswith(b"fLaC"), flac.read),)
"""The same for the formats that may follow an ID3v2 tag."""


def read_structure(stored: StoredObject) -> Structure:
    """The structure of an open recording; of a damaged one, what can be known.

    Reads little (headers, the end, a few probes), so that it may be called before the first byte is decoded.
    """
    data = Bytes(stored)
    for container, reader in _candidates(data):
        try:
            return reader(data)
        except (Unreadable, struct.error, IndexError, ValueError, OverflowError, ZeroDivisionError):
            return Structure(container)
    return Structure("unknown")


def _candidates(data: Bytes) -> list[tuple[str, Reader]]:
    try:
        head = data.read(0, HEAD_BYTES)
        found = [(name, reader) for name, matches, reader in READERS if matches(head)]
        if found:
            return found
        start = after_id3(data)
        after = data.read(start, HEAD_BYTES)
        return [(name, reader) for name, matches, reader in AFTER_ID3 if matches(after)]
    except Unreadable:
        return []
