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
from reelscribe.media.structure.facts import AS_THE_FIRST, OTHER_FORMAT, AudioTrack, Structure, stops_inside

EBML, SEGMENT, SEEK_HEAD, INFO, TRACKS = b"\x1a\x45\xdf\xa3", 0x18538067, 0x114D9B74, 0x1549A966, 0x1654AE6B
CLUSTER, CUES, TAGS, CHAPTERS, ATTACHMENTS = 0x1F43B675, 0x1C53BB6B, 0x1254C367, 0x1043A770, 0x1941A469
VOID, CRC, TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, BLOCK = 0xEC, 0xBF, 0xE7, 0xA3, 0xA0, 0xA1
EBML_HEADER, ENCRYPTION = 0x1A45DFA3, 0x5035

IN_CLUSTER = (VOID, CRC, TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, 0xA7, 0xAB, 0xAF, 0x5854)
IN_SEGMENT = (VOID, CRC, SEEK_HEAD, INFO, TRACKS, CLUSTER, CUES, TAGS, CHAPTERS, ATTACHMENTS)

STREAM_TYPES = (1, 2, 0x11, 0x21)
"""Video, audio, subtitles and metadata: the track types that ffmpeg makes a stream of."""

MAX_ELEMENTS = 1_500
MAX_FIRST_BLOCKS = 64
MAX_PRIVATE_BYTES = 1 << 16
PRIVATE, FIXED = ("A_VORBIS", "A_AAC", "A_ALAC"), ("A_FLAC", "A_PCM", "A_TTA")
"""Codecs of which ffmpeg reads the private data only once; and those of one rate and number of channels."""
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
    number: int = 0
    uid: int = 0
    kind: int = 0
    codec: str = ""
    channels: int = 1
    rate: bytes = b""
    private: bytes = b""
    encrypted: bool = False

    @property
    def shape(self) -> tuple[object, ...]:
        """What has to be alike of tracks that one decoder is to play, one after the other."""
        private = self.private if self.codec.startswith(PRIVATE) else b""
        changes = (self.rate, self.channels) if self.codec.startswith(FIXED) else ()
        return self.codec, private, *changes


@dataclass
class _Segment:
    """What the elements of a segment say; a length in seconds. ``starts`` are those of tracks, by their numbers."""

    seconds: float | None = None
    scale: int = 1_000_000
    muxing_app: str = ""
    writing_app: str = ""
    tracks: list[_Track] = field(default_factory=list)
    lengths: dict[int, float] = field(default_factory=dict)
    first: float = 0.0
    starts: dict[int, float] = field(default_factory=dict)
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
        unplayed = _other_format(data, segment, found)
        return Structure("matroska", _audio(found, {}, None), None, cut, unplayed=unplayed)
    seconds = None if found.seconds is None else _from_first(found, found.seconds)
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


def children_of(data: Bytes, start: int, end: int) -> Iterator[Element]:
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
    for element in children_of(data, segment.start, limit):
        if element.kind == CLUSTER:
            _read_starts(data, element, found)
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
    children = list(children_of(data, element.start, element.end))
    if element.kind == SEEK_HEAD:
        for seek in children:
            values = (
                {child.kind: number_in(data, child) for child in _inside(data, seek)} if seek.kind == 0x4DBB else {}
            )
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
    return children_of(data, element.start, min(element.end or element.start, data.size))


def _raw(data: Bytes, element: Element) -> bytes:
    return data.read(element.start, min((element.end or element.start) - element.start, 256))


def number_in(data: Bytes, element: Element) -> int:
    return int.from_bytes(_raw(data, element)[:8], "big")


def _text(data: Bytes, element: Element) -> str:
    return _raw(data, element).rstrip(b"\0").decode("utf-8", "replace")


def _read_info(data: Bytes, children: list[Element], found: _Segment) -> None:
    length = None
    for child in children:
        if child.kind == 0x2AD7B1:
            found.scale = number_in(data, child) or found.scale
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
        if child.kind == 0xD7:
            track.number = number_in(data, child)
        elif child.kind == 0x6D80:
            encodings = (part for part in _inside(data, child) if part.kind == 0x6240)
            track.encrypted = any(part.kind == ENCRYPTION for one in encodings for part in _inside(data, one))
        elif child.kind == 0x73C5:
            track.uid = number_in(data, child)
        elif child.kind == 0x83:
            track.kind = number_in(data, child)
        elif child.kind == 0x86:
            track.codec = _text(data, child)
        elif child.kind == 0x63A2:
            track.private = data.read(child.start, min((child.end or 0) - child.start, MAX_PRIVATE_BYTES))
        elif child.kind == 0xE1:
            parts = {part.kind: part for part in _inside(data, child)}
            track.channels = number_in(data, parts[0x9F]) if 0x9F in parts else 1
            track.rate = _raw(data, parts[0xB5]) if 0xB5 in parts else b""
    return track


def _read_tag(data: Bytes, tag: Element, found: _Segment) -> None:
    """A track's DURATION, in any language; of several, the one that the writer of this file vouches for."""
    uid, durations, author = 0, {}, None
    for child in _inside(data, tag):
        if child.kind == 0x63C0:
            uid = next((number_in(data, part) for part in _inside(data, child) if part.kind == 0x63C5), 0)
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
    """When the tracks end, by their UIDs, unless that is not of this segment: the longest is as long as the segment.

    ffmpeg states when a track ends; others state how long it is, from its own first block on.
    """
    lengths = found.lengths
    if found.seconds is None or not lengths or found.muxing_app.startswith("Lavf"):
        return lengths if found.seconds is None else {u: s for u, s in lengths.items() if s <= found.seconds + 0.1}
    known = found.starts
    starts = {
        one.uid: known.get(one.number, found.first) for one in found.tracks if one.kind != 2 or one.number in known
    }
    ends = {uid: starts[uid] + seconds for uid, seconds in lengths.items() if uid in starts}
    longest = max(ends.values(), default=0.0) - found.first
    expected = _from_first(found, found.seconds)
    return ends if abs(longest - expected) <= max(TOLERATED_SECONDS, expected / 100) else {}


def _from_first(found: _Segment, seconds: float) -> float:
    """The length of a segment that begins later than zero: mkvmerge counts from its first block on, ffmpeg from 0."""
    counted = found.writing_app.startswith("mkvmerge") or seconds <= found.first
    return seconds if counted else seconds - found.first


def _audio(found: _Segment, lengths: dict[int, float], segment_seconds: float | None) -> tuple[AudioTrack, ...] | None:
    """The tracks; a single one is as long as its segment."""
    streams = [track for track in found.tracks if track.kind in STREAM_TYPES and track.codec]
    if not streams:
        return None
    alone = None
    if len(streams) == 1 and segment_seconds is not None:
        alone = found.first + _from_first(found, segment_seconds)
    return tuple(
        AudioTrack(
            index,
            max(0.0, seconds - found.first) if (seconds := lengths.get(track.uid, alone)) is not None else None,
            track.channels,
            track.codec.startswith("A_PCM") and track.channels > 2,
            encrypted=track.encrypted,
        )
        for index, track in enumerate(streams)
        if track.kind == 2
    )


def _read_starts(data: Bytes, cluster: Element, found: _Segment) -> None:
    """When the segment begins, with its first block, and each track of sound, if that matters and is not far behind."""
    counts_from_own = not found.muxing_app.startswith("Lavf")
    wanted = {track.number for track in found.tracks if track.kind == 2 and counts_from_own}
    base, position, found.first = 0, cluster.start, 0.0
    for _ in range(MAX_FIRST_BLOCKS):
        element = element_at(data, position)
        if element is None or (found.starts and wanted <= found.starts.keys()):
            break
        if element.kind == TIMESTAMP:
            base = number_in(data, element)
            found.first = found.first if found.starts else base * found.scale / 1e9
        elif element.kind == BLOCK_GROUP or (element.kind == CLUSTER and element.position != cluster.position):
            position = element.start
            continue
        elif element.kind in (SIMPLE_BLOCK, BLOCK):
            block = data.read(element.start, 12)
            width = 9 - block[0].bit_length() if block and block[0] else 1
            number = int.from_bytes(block[:width], "big") & ((1 << 7 * width) - 1)
            relative = struct.unpack_from(">h", block, width)[0]
            time = max(0, base + relative) * found.scale / 1e9
            found.first = found.first if found.starts else time
            found.starts.setdefault(number, time)
        if element.end is None:
            break
        position = element.end


def _other_format(data: Bytes, segment: Element, found: _Segment) -> str | None:
    """The sentence if a segment that follows has sound that cannot be decoded like that of the first."""
    shapes = [track.shape for track in found.tracks if track.kind == 2]
    for _ in range(MAX_SESSIONS):
        header = element_at(data, segment.end) if segment.end is not None else None
        following = element_at(data, header.end) if header and header.end else None
        if header is None or following is None or following.kind != SEGMENT:
            break
        segment, other = following, _Segment()
        with suppress(Unreadable, struct.error):
            _read_segment(data, segment, other)
        others = [track.shape for track in other.tracks if track.kind == 2]
        if others and others[: len(shapes)] != shapes[: len(others)]:
            return f"{OTHER_FORMAT}, is appended at byte {header.position:,}, {AS_THE_FIRST}"
    return None


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
