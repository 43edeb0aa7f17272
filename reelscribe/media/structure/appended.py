"""Where another recording of the same kind begins in a file that ffmpeg reads only up to there (``cat a.flv b.flv``).

Of fragmented MP4 it reads on, but without the first fragment, or with the index of the first recording.

Asked after decoding, as some of these formats have to be read as a whole.
"""

import struct
from collections.abc import Callable

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure import asf, mp4_boxes
from reelscribe.media.structure.au_voc import VOC_MAGIC
from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import Structure
from reelscribe.media.structure.flv import FIRST_BYTES, HEADER_BYTES, stated_size
from reelscribe.media.structure.lossless import MAX_TAG_BYTES, ape_end, tta_end, wavpack_end

LARGER_LIMITS = 1_000
READ_BYTES = 1 << 20
MAX_SEARCHED_BYTES = 256 << 20
MAX_UNITS = 2_000
MAX_FRAGMENTS = 100_000
MAX_PADDING = 16


def appended_at(stored: StoredObject, structure: Structure) -> int | None:
    """The byte; None if there is no other recording, ffmpeg reads it too, or that cannot be known."""
    find = FINDERS.get(structure.container)
    if find is None or (structure.container == "wavpack" and not structure.joined):
        return None
    try:
        return find(Bytes(stored, times=1 if stored.needs_network else LARGER_LIMITS))
    except (Unreadable, struct.error, ValueError, ZeroDivisionError):
        return None


def _at_end(data: Bytes, end: int | None, magic: bytes, within: int = MAX_PADDING) -> int | None:
    """Where ``magic`` begins, in the first bytes after ``end``: padding or a tag may come between."""
    found = data.read(end, within + len(magic)).find(magic) if end else -1
    return None if end is None or found < 0 else end + found


def _riff(data: Bytes) -> int | None:
    magic, length, form = struct.unpack("<4sI4s", data.exactly(0, 12))
    if magic in (b"RF64", b"BW64"):
        length = struct.unpack("<4x4xQ", data.exactly(12, 16))[0]
    return None if form != b"WAVE" else _at_end(data, 8 + length, magic)


def _wave64(data: Bytes) -> int | None:
    return _at_end(data, struct.unpack("<16xQ", data.exactly(0, 24))[0], data.read(0, 16))


def _aiff(data: Bytes) -> int | None:
    return _at_end(data, 8 + struct.unpack(">4xI", data.exactly(0, 8))[0], b"FORM")


def _caf(data: Bytes) -> int | None:
    position = 8
    for _ in range(MAX_UNITS):
        header = data.read(position, 12)
        if header.startswith(b"caff\0"):
            return position
        if len(header) < 12 or (length := struct.unpack(">4xq", header)[0]) < 0:
            return None
        position += 12 + length
    return None


def _voc(data: Bytes) -> int | None:
    position = struct.unpack("<20xH", data.exactly(0, 22))[0]
    for _ in range(MAX_UNITS):
        header = data.exactly(position, 1)
        if header == b"\0":
            return _at_end(data, position + 1, VOC_MAGIC)
        position += 4 + int.from_bytes(data.exactly(position + 1, 3), "little")
    return None


def _mp4(data: Bytes) -> int | None:
    position = 0
    for _ in range(MAX_UNITS):
        box = mp4_boxes.box_at(data, position, data.size)
        if box is None:
            return None
        if position and box.kind == b"ftyp":
            return position
        position = box.end
    return None


def _fragmented(data: Bytes) -> int | None:
    """Where another index comes, or the fragments of a track are counted from the start again."""
    position, index, numbers = 0, False, dict[int, int]()
    for _ in range(MAX_FRAGMENTS):
        box = mp4_boxes.box_at(data, position, data.size)
        if box is None:
            return None
        if index and box.kind in (b"ftyp", b"moov"):
            return position
        if box.kind == b"moof":
            header = data.read(box.start, 40)
            if header[4:8] == b"mfhd" and header[28:32] == b"tfhd":
                number, track = struct.unpack_from(">I20xI", header, 12)
                if number < numbers.get(track, 0):
                    return position
                numbers[track] = number
        index |= box.kind == b"moov"
        position = box.end
    return None


def _asf(data: Bytes) -> int | None:
    return _at_end(data, asf.stated_size(data), asf.HEADER)


def _flv(data: Bytes) -> int | None:
    size = stated_size(data)
    if size == data.size:
        return None
    if size and FIRST_BYTES.match(data.read(size, HEADER_BYTES)):
        return size
    for start in range(0, min(data.size, MAX_SEARCHED_BYTES), READ_BYTES):
        if found := FIRST_BYTES.search(data.read(start, READ_BYTES + HEADER_BYTES), 0 if start else 1):
            return start + found.start()
    return None


def _tta(data: Bytes) -> int | None:
    return _at_end(data, tta_end(data), b"TTA1", MAX_TAG_BYTES)


def _ape(data: Bytes) -> int | None:
    return _at_end(data, ape_end(data), b"MAC ", MAX_TAG_BYTES)


def _wavpack(data: Bytes) -> int | None:
    """ffmpeg reads on if nothing is between the recordings; a tag is."""
    return _at_end(data, wavpack_end(data), b"wvpk", MAX_TAG_BYTES)


FINDERS: dict[str, Callable[[Bytes], int | None]] = {
    "wav": _riff,
    "w64": _wave64,
    "aiff": _aiff,
    "caf": _caf,
    "voc": _voc,
    "mp4": _mp4,
    "fragmented mp4": _fragmented,
    "asf": _asf,
    "flv": _flv,
    "tta": _tta,
    "ape": _ape,
    "wavpack": _wavpack,
}
