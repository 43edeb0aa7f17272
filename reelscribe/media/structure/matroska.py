"""Matroska and WebM: lengths are in Info and in statistics tags, which a stream copy may leave behind.

RFC 9559 (Matroska): 5.1 (elements), 10.1 (SeekHead); RFC 8794 (EBML): 4 (element IDs), 5 (sizes); mkvmerge's statistics
tags: mkvtoolnix wiki, "Automatic tag generation".
"""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import AudioTrack, Structure, stops_inside

EBML, SEGMENT, SEEK_HEAD, INFO, TRACKS = b"\x1a\x45\xdf\xa3", 0x18538067, 0x114D9B74, 0x1549A966, 0x1654AE6B
CLUSTER, CUES, TAGS, CHAPTERS, ATTACHMENTS = 0x1F43B675, 0x1C53BB6B, 0x1254C367, 0x1043A770, 0x1941A469
VOID, CRC, TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, BLOCK = 0xEC, 0xBF, 0xE7, 0xA3, 0xA0, 0xA1
EBML_HEADER = 0x1A45DFA3

IN_CLUSTER = (VOID, CRC, TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, 0xA7, 0xAB, 0xAF, 0x5854)
IN_SEGMENT = (VOID, CRC, SEEK_HEAD, INFO, TRACKS, CLUSTER, CUES, TAGS, CHAPTERS, ATTACHMENTS)

STREAM_TYPES = (1, 2, 0x11, 0x21)
"""Video, audio, subtitles and metadata: the track types that ffmpeg makes a stream of."""

MAX_ELEMENTS = 1_500
MAX_SESSIONS = 100
MAX_BYTES = 4 << 20
"""Of Tracks (which may hold fonts of subtitles) or Tags."""

TOLERATED_SECONDS = 1.0
_TIME = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True)
class Element:
    """``end`` is None if its size is unknown."""

    kind: int
    position: int
    start: int
    end: int | None


@dataclass
class _Track:
    uid: int = 0
    kind: int = 0
    codec: str = ""
    channels: int = 1


@dataclass
class _Segment:
    """What the elements of a segment say; a length in seconds."""

    seconds: float | None = None
    scale: int = 1_000_000
    muxing_app: str = ""
    writing_app: str = ""
    tracks: list[_Track] = field(default_factory=list)
    lengths: dict[int, float] = field(default_factory=dict)
    first: float = 0.0
    has_cues: bool = False
    places: dict[int, int] = field(default_factory=dict)
    read: set[int] = field(default_factory=set)


def is_matroska(head: bytes) -> bool:
    return head.startswith(EBML)


def read(data: Bytes) -> Structure:
    header = element_at(data, 0)
    segment = element_at(data, header.end) if header and header.end else None
    if segment is None or segment.kind != SEGMENT:
        return Structure("matroska")
    found = _Segment()
    with suppress(Unreadable, struct.error):  # what has been read counts
        _read_segment(data, segment, found)
    cut, appended = _end(data, segment)
    if appended:
        return Structure("matroska", _audio(found, {}, None), None, cut)
    seconds = None if found.seconds is None else max(0.0, found.seconds - found.first)
    seekable = segment.end is not None and found.has_cues and cut is None
    return Structure("matroska", _audio(found, _plausible(found), found.seconds), seconds, cut, seekable)


def element_at(data: Bytes, position: int) -> Element | None:
    head = data.read(position, 12)
    width = 9 - head[0].bit_length() if head and head[0] else 0
    if not 1 <= width <= 4 or len(head) <= width:
        return None
    mark = head[width]
    length = 9 - mark.bit_length() if mark else 0
    if not 1 <= length <= 8 or len(head) < width + length:
        return None
    size = int.from_bytes(head[width : width + length], "big") & ((1 << 7 * length) - 1)
    start = position + width + length
    end = None if size == (1 << 7 * length) - 1 else start + size
    return Element(int.from_bytes(head[:width], "big"), position, start, end)


def _children(data: Bytes, start: int, end: int) -> Iterator[Element]:
    position: int | None = start
    for _ in range(MAX_ELEMENTS):
        if position is None or position >= end:
            return
        element = element_at(data, position)
        if element is None:
            return
        yield element
        position = element.end


def _read_segment(data: Bytes, segment: Element, found: _Segment) -> None:
    limit = data.size if segment.end is None else min(segment.end, data.size)
    for element in _children(data, segment.start, limit):
        if element.kind == CLUSTER:
            found.first = _first_time(data, element, found.scale)
            break
        _read_top(data, element, segment.start, found)
    for kind in (INFO, TRACKS, TAGS, CUES):
        position = found.places.get(kind)
        if kind not in found.read and position is not None:
            element_there = element_at(data, position)
            if element_there and element_there.kind == kind:
                _read_top(data, element_there, segment.start, found)


def _read_top(data: Bytes, element: Element, base: int, found: _Segment) -> None:
    if element.end is None or element.end > data.size:
        return
    found.read.add(element.kind)
    if element.kind == CUES:
        found.has_cues = True
    if element.kind not in (SEEK_HEAD, INFO, TRACKS, TAGS) or element.end - element.start > MAX_BYTES:
        return
    children = list(_children(data, element.start, element.end))
    if element.kind == SEEK_HEAD:
        for seek in children:
            values = {child.kind: _number(data, child) for child in _inside(data, seek)} if seek.kind == 0x4DBB else {}
            if 0x53AB in values and 0x53AC in values:
                found.places.setdefault(values[0x53AB], base + values[0x53AC])
    elif element.kind == INFO:
        _read_info(data, children, found)
    elif element.kind == TRACKS:
        found.tracks = [_read_track(data, entry) for entry in children if entry.kind == 0xAE]
    else:
        for tag in children:
            if tag.kind == 0x7373:
                _read_tag(data, tag, found)


def _inside(data: Bytes, element: Element) -> Iterator[Element]:
    return _children(data, element.start, min(element.end or element.start, data.size))


def _raw(data: Bytes, element: Element) -> bytes:
    return data.read(element.start, min((element.end or element.start) - element.start, 256))


def _number(data: Bytes, element: Element) -> int:
    return int.from_bytes(_raw(data, element)[:8], "big")


def _text(data: Bytes, element: Element) -> str:
    return _raw(data, element).rstrip(b"\0").decode("utf-8", "replace")


def _read_info(data: Bytes, children: list[Element], found: _Segment) -> None:
    length = None
    for child in children:
        if child.kind == 0x2AD7B1:
            found.scale = _number(data, child) or found.scale
        elif child.kind == 0x4489:
            raw = _raw(data, child)
            length = struct.unpack(">f" if len(raw) == 4 else ">d", raw)[0]
        elif child.kind == 0x4D80:
            found.muxing_app = _text(data, child)
        elif child.kind == 0x5741:
            found.writing_app = _text(data, child)
    if length is not None and 0 < length * found.scale < 1e18:
        found.seconds = length * found.scale / 1e9


def _read_track(data: Bytes, entry: Element) -> _Track:
    track = _Track()
    for child in _inside(data, entry):
        if child.kind == 0x73C5:
            track.uid = _number(data, child)
        elif child.kind == 0x83:
            track.kind = _number(data, child)
        elif child.kind == 0x86:
            track.codec = _text(data, child)
        elif child.kind == 0xE1:
            track.channels = next((_number(data, part) for part in _inside(data, child) if part.kind == 0x9F), 1)
    return track


def _read_tag(data: Bytes, tag: Element, found: _Segment) -> None:
    """A track's DURATION, in any language; of several, the one that the writer of this file vouches for."""
    uid, durations, author = 0, {}, None
    for child in _inside(data, tag):
        if child.kind == 0x63C0:
            uid = next((_number(data, part) for part in _inside(data, child) if part.kind == 0x63C5), 0)
        elif child.kind == 0x67C8:
            parts = {part.kind: part for part in _inside(data, child)}
            if 0x45A3 not in parts or 0x4487 not in parts:
                continue
            name, value = _text(data, parts[0x45A3]), _text(data, parts[0x4487])
            if name == "DURATION" and (time := _TIME.fullmatch(value)):
                language = _text(data, parts[0x447A]) if 0x447A in parts else "und"
                durations[language] = int(time[1]) * 3600 + int(time[2]) * 60 + float(time[3])
            elif name == "_STATISTICS_WRITING_APP":
                author = value
    if not uid or not durations:
        return
    if found.muxing_app.startswith("Lavf"):
        durations = {"und": durations["und"]} if "und" in durations else {}  # others were copied from its source
    elif author is not None and author != found.writing_app:
        return
    if durations:
        found.lengths[uid] = next(iter(durations.values()))


def _plausible(found: _Segment) -> dict[int, float]:
    """The tracks' lengths, unless they are not of this segment: the longest track is as long as the segment."""
    lengths = found.lengths
    if found.seconds is None or not lengths or found.muxing_app.startswith("Lavf"):
        return lengths if found.seconds is None else {u: s for u, s in lengths.items() if s <= found.seconds + 0.1}
    longest = max(lengths.values())
    return lengths if abs(longest - found.seconds) <= max(TOLERATED_SECONDS, found.seconds / 100) else {}


def _audio(found: _Segment, lengths: dict[int, float], segment_seconds: float | None) -> tuple[AudioTrack, ...] | None:
    """The tracks; a single one is as long as its segment."""
    streams = [track for track in found.tracks if track.kind in STREAM_TYPES and track.codec]
    if not streams:
        return None
    alone = segment_seconds if len(streams) == 1 else None
    return tuple(
        AudioTrack(
            index,
            max(0.0, seconds - found.first) if (seconds := lengths.get(track.uid, alone)) is not None else None,
            track.channels,
            track.codec.startswith("A_PCM") and track.channels > 2,
        )
        for index, track in enumerate(streams)
        if track.kind == 2
    )


def _first_time(data: Bytes, cluster: Element, scale: int) -> float:
    """Of a cluster's first block, in seconds."""
    base, position = 0, cluster.start
    for _ in range(16):
        element = element_at(data, position)
        if element is None:
            break
        if element.kind == TIMESTAMP:
            base = _number(data, element)
        elif element.kind in (SIMPLE_BLOCK, BLOCK, BLOCK_GROUP):
            if element.kind == BLOCK_GROUP:
                position = element.start
                continue
            block = data.read(element.start, 12)
            width = 9 - block[0].bit_length() if block and block[0] else 1
            relative = struct.unpack_from(">h", block, width)[0]
            return float(max(0, base + relative) * scale / 1e9)
        if element.end is None:
            break
        position = element.end
    return base * scale / 1e9


def _end(data: Bytes, segment: Element) -> tuple[str | None, bool]:
    """The phrase if the file ends in an element, and whether another recording follows the first."""
    appended = False
    for _ in range(MAX_SESSIONS):
        if segment.end is None:
            break
        header = element_at(data, segment.end) if data.read(segment.end, 4) == EBML else None
        following = element_at(data, header.end) if header and header.end else None
        if following is None or following.kind != SEGMENT:
            return stops_inside("the Segment", segment.position, segment.end, data.size), appended
        segment, appended = following, True
    for window in (1 << 16, 1 << 20, 4 << 20):
        start, tail = data.tail(window)
        found = tail.rfind(CLUSTER.to_bytes(4, "big"))
        while found >= 0:
            cluster = element_at(data, start + found)
            first = element_at(data, cluster.start) if cluster else None
            if cluster and first and first.kind in (TIMESTAMP, CRC, VOID, SIMPLE_BLOCK):
                return _walk_to_end(data, cluster), appended
            found = tail.rfind(CLUSTER.to_bytes(4, "big"), 0, found)
        if start == 0:
            break
    return None, appended


def _walk_to_end(data: Bytes, cluster: Element) -> str | None:
    """From the start of the last cluster on, element by element."""
    if cluster.end is not None and cluster.end > data.size:
        return stops_inside("the last Cluster", cluster.position, cluster.end, data.size)
    position = cluster.start if cluster.end is None else cluster.end
    while position < data.size:
        element = element_at(data, position)
        if element is None:
            rest = data.read(position, 12)
            begun = len(rest) < 12 and rest[:1] in (b"\xa3", b"\xa0", b"\x1f", b"\x1c")
            return f"its last {len(rest)} bytes are the start of an element" if begun else None
        if element.kind not in (*IN_CLUSTER, *IN_SEGMENT, EBML_HEADER) or element.end is None:
            return None
        if element.end > data.size:
            return stops_inside("an element", position, element.end, data.size)
        position = element.end
    return None
