"""When a Matroska recording begins, if its pictures come before its sound.

libav learns a first timestamp of H.264 only by decoding it, which a sandbox for sound does not do; without that, the
recording would begin with its sound. RFC 9559: 10.2 (blocks), 5.1.4.1.3 (track types).
"""

import struct
from collections.abc import Iterator

from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.matroska import (
    BLOCK,
    BLOCK_GROUP,
    CLUSTER,
    INFO,
    SEGMENT,
    SIMPLE_BLOCK,
    TIMESTAMP,
    TRACKS,
    Element,
    children_of,
    element_at,
    number_in,
)

PICTURES, SOUND = 1, 2
TEXT = (0x11, 0x21)
"""Subtitles and metadata."""

MAX_ELEMENTS = 200
MAX_BLOCKS = 64
"""Looked at: in those, the first of every track comes that does not begin later than the others."""

LONGEST_TEXT_LEAD_SECONDS = 1.0
"""As in libav's ``update_stream_timings``: text counts if it begins before the rest by less than that."""


def begins_with_pictures(data: Bytes) -> float | None:
    """The first timestamp in seconds; None if sound is the first, or there are no pictures, or it cannot be known."""
    try:
        header = element_at(data, 0)
        segment = element_at(data, header.end) if header and header.end else None
        if segment is None or segment.kind != SEGMENT:
            return None
        firsts = _firsts(data, segment)
    except (Unreadable, struct.error, IndexError):
        return None
    if PICTURES not in firsts or firsts.get(SOUND, firsts[PICTURES] + 1) <= firsts[PICTURES]:
        return None
    texts = [firsts[kind] for kind in TEXT if kind in firsts]
    text = min(texts, default=firsts[PICTURES])
    return text if 0 < firsts[PICTURES] - text < LONGEST_TEXT_LEAD_SECONDS else firsts[PICTURES]


def _firsts(data: Bytes, segment: Element) -> dict[int, float]:
    """By types of tracks, the earliest of the first timestamps of their tracks, in seconds."""
    scale, kinds = 1_000_000, dict[int, int]()
    for element in children_of(data, segment.start, segment.end or data.size):
        parts = children_of(data, element.start, element.end or element.start)
        if element.kind == INFO:
            scale = next((number_in(data, part) for part in parts if part.kind == 0x2AD7B1), 0) or scale
        elif element.kind == TRACKS:
            for entry in parts:
                fields = {part.kind: part for part in children_of(data, entry.start, entry.end or entry.start)}
                if 0xD7 in fields and 0x83 in fields:
                    kinds[number_in(data, fields[0xD7])] = number_in(data, fields[0x83])
        elif element.kind == CLUSTER:
            return _earliest(data, element, kinds, scale)
    return {}


def _earliest(data: Bytes, cluster: Element, kinds: dict[int, int], scale: int) -> dict[int, float]:
    firsts: dict[int, float] = {}
    waited = {number for number, kind in kinds.items() if kind in (PICTURES, SOUND)}
    for number, time in _blocks(data, cluster):
        kind = kinds.get(number, 0)
        if number in waited or (kind in TEXT and kind not in firsts):
            waited.discard(number)
            firsts[kind] = min(firsts.get(kind, time * scale / 1e9), time * scale / 1e9)
        if not waited:
            break
    return firsts


def _blocks(data: Bytes, cluster: Element) -> Iterator[tuple[int, int]]:
    """Track number and time of each block, in units of the segment."""
    position, base, blocks = cluster.position, 0, 0
    for _ in range(MAX_ELEMENTS):
        element = element_at(data, position)
        if element is None or blocks == MAX_BLOCKS:
            return
        if element.kind in (CLUSTER, BLOCK_GROUP):
            position = element.start
            continue
        if element.kind == TIMESTAMP:
            base = number_in(data, element)
        elif element.kind in (SIMPLE_BLOCK, BLOCK):
            block = data.exactly(element.start, 4)
            width = 9 - block[0].bit_length()
            number = int.from_bytes(block[:width], "big") & ((1 << 7 * width) - 1)
            relative = struct.unpack(">h", data.exactly(element.start + width, 2))[0]
            blocks += 1
            yield number, max(0, base + relative)
        if element.end is None:
            return
        position = element.end
