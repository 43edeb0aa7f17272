"""Ogg: pages with granule positions; the first pages list the streams, the last ones say where each ends.

RFC 3533 (6, pages), RFC 7845 (4, Opus), RFC 6716 (3.1, its packets), Vorbis I (4.2.2, A.2), Speex manual (7.2), Ogg
FLAC mapping, Theora (6.2, A.3).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import AudioTrack, Structure, stops_inside

MAX_PAGE_BYTES = 65_307
TAIL_WINDOWS = (1 << 14, 1 << 17, 1 << 20)
MAX_TAIL_PAGES = 1_000
MAX_FIRST_PAGES = 200
PROBES = 8
NO_GRANULE = -1
CONTINUES = 1
"""Flag of a page that begins within a packet."""
OPUS_UNITS = 960
"""Of a usual packet of Opus, 20 ms."""


@dataclass(frozen=True)
class Page:
    """``packets`` is how many end in it; ``open`` whether its last packet continues in the next."""

    position: int
    end: int
    flags: int
    granule: int
    serial: int
    number: int
    packets: int
    open: bool
    content: bytes


@dataclass(frozen=True)
class Stream:
    """A logical stream, from its first page.

    Attributes:
        rate: granule units per second; 0 if unknown.
        skip: units that are decoded but not shown.
        packet: units of a usual packet; those of Opus say it themselves.
        shift: of a granule position whose lower bits count from the last key frame.
        seekable: ffmpeg finds the time of its packets after a seek; near the end, those of FLAC and Speex get that of
            another page.
    """

    serial: int
    audio: bool = False
    video: bool = False
    rate: float = 0.0
    skip: int = 0
    packet: int = 0
    channels: int | None = None
    seekable: bool = False
    shift: int = 0
    opus: bool = False

    def units(self, granule: int) -> int:
        return (granule >> self.shift) + (granule & ((1 << self.shift) - 1)) if self.shift else granule


def is_ogg(head: bytes) -> bool:
    return head.startswith(b"OggS")


def read(data: Bytes) -> Structure:
    streams, position = _first_pages(data)
    starts = _starts(data, position, streams)
    pages, cut = _last_pages(data, streams)
    chained = _is_chained(data, {stream.serial for stream in streams}, pages)
    if chained:
        return Structure("ogg", _tracks(streams, {}), None, cut, joined=True)
    begin = 0.0 if any(not stream.audio for stream in streams) else min(starts.values(), default=0.0)
    ends = {
        stream.serial: max(0.0, (stream.units(page.granule) - stream.skip) / stream.rate - begin)
        for stream in streams
        for page in [pages.get(stream.serial)]
        if page and page.granule > 0 and stream.rate
    }
    complete = all(stream.serial in ends for stream in streams if stream.audio or stream.video)
    return Structure(
        "ogg",
        _tracks(streams, ends),
        max(ends.values(), default=None) if complete else None,
        cut,
        seekable=bool(streams) and all(stream.seekable for stream in streams) and cut is None,
    )


def _tracks(streams: list[Stream], ends: dict[int, float]) -> tuple[AudioTrack, ...]:
    return tuple(
        AudioTrack(index, ends.get(stream.serial), stream.channels)
        for index, stream in enumerate(streams)
        if stream.audio
    )


def page_at(data: Bytes, position: int) -> Page | None:
    head = data.read(position, 27)
    if len(head) < 27 or not head.startswith(b"OggS\0"):
        return None
    flags, granule, serial, number, _, segments = struct.unpack("<5xBqIIIB", head)
    lacing = data.read(position + 27, segments)
    start = position + 27 + segments
    end = start + sum(lacing) + (0 if len(lacing) == segments else 1)
    content = data.read(start, min(end - start, 512))
    ended = sum(length < 255 for length in lacing)
    return Page(position, end, flags, granule, serial, number, ended, lacing[-1:] == b"\xff", content)


def _first_pages(data: Bytes) -> tuple[list[Stream], int]:
    """The streams in the order of their first pages, which is that of ffmpeg's indexes."""
    streams: list[Stream] = []
    position = 0
    while len(streams) < MAX_FIRST_PAGES and (page := page_at(data, position)) and page.flags & 2:
        streams.append(stream_of(page))
        position = page.end
    return streams, position


def stream_of(page: Page) -> Stream:
    content, serial = page.content, page.serial
    try:
        if content.startswith(b"OpusHead"):
            channels, skip = struct.unpack_from("<BH", content, 9)
            return Stream(serial, True, False, 48_000, skip, OPUS_UNITS, channels, seekable=True, opus=True)
        if content.startswith(b"\x01vorbis"):
            channels, rate = struct.unpack_from("<BI", content, 11)
            return Stream(serial, True, False, rate, 0, (1 << (content[28] >> 4)) // 2, channels, seekable=True)
        if content.startswith(b"Speex   "):
            rate, _, _, channels, _, frame, _, frames = struct.unpack_from("<8I", content, 36)
            return Stream(serial, True, False, rate, 0, frame * max(1, frames), channels)
        if content.startswith(b"\x7fFLAC"):
            block, packed = struct.unpack_from(">H8xI", content, 9 + 4 + 4)
            return Stream(serial, True, False, packed >> 12, 0, block, (packed >> 9 & 7) + 1)
        if content.startswith(b"fLaC"):
            return Stream(serial, audio=True)
        if content.startswith(b"\x80theora"):
            top, bottom = struct.unpack_from(">II", content, 22)
            shift = struct.unpack_from(">H", content, 40)[0] >> 5 & 31
            return Stream(serial, video=True, rate=top / bottom, packet=1, shift=shift)
    except (struct.error, IndexError, ZeroDivisionError):
        return Stream(serial)
    return Stream(serial)


def _starts(data: Bytes, position: int, streams: list[Stream]) -> dict[int, float]:
    """When the sound of each stream begins: the first page with a granule position says when its last packet ends."""
    audio = {stream.serial: stream for stream in streams if stream.audio and stream.rate}
    packets = dict.fromkeys(audio, 0)
    lengths: dict[int, int] = {}
    starts: dict[int, float] = {}
    for _ in range(MAX_FIRST_PAGES):
        page = page_at(data, position) if len(starts) < len(audio) else None
        if page is None:
            break
        position = page.end
        if page.serial in audio and page.serial not in starts:
            stream = audio[page.serial]
            if stream.opus and not page.flags & CONTINUES and not page.content.startswith(b"OpusTags"):
                lengths.setdefault(page.serial, _opus_units(page.content))
            length = lengths.get(page.serial, stream.packet)
            if page.granule > 0:
                units = page.granule - (packets[page.serial] + page.packets) * length
                starts[page.serial] = max(0, units) / stream.rate
            elif page.granule == NO_GRANULE or packets[page.serial]:
                packets[page.serial] += page.packets
    return starts


def _opus_units(packet: bytes) -> int:
    """Samples of a packet at 48 kHz, by its first bytes (RFC 6716, section 3.1)."""
    if not packet:
        return OPUS_UNITS
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration < 12:
        frame = (480, 960, 1920, 2880)[configuration & 3]
    elif configuration < 16:
        frame = (480, 960)[configuration & 1]
    else:
        frame = (120, 240, 480, 960)[configuration & 3]
    count = packet[1] & 63 if code == 3 and len(packet) > 1 else min(code, 1) + 1
    return frame * count or OPUS_UNITS


def _pages_of(data: Bytes, start: int, content: bytes) -> Iterator[Page]:
    at = content.find(b"OggS\0")
    for _ in range(MAX_TAIL_PAGES):
        page = page_at(data, start + at) if at >= 0 else None
        if page is None:
            return
        yield page
        ahead = page.end - start if page.end <= data.size else at + 5
        at = content.find(b"OggS\0", ahead)


def _last_pages(data: Bytes, streams: list[Stream]) -> tuple[dict[int, Page], str | None]:
    """The last page of each stream that has a granule position, and the phrase if the file ends in a page."""
    wanted = {stream.serial for stream in streams if stream.audio or stream.video}
    found: dict[int, Page] = {}
    cut = None
    for window in TAIL_WINDOWS:
        start, tail = data.tail(window)
        last: Page | None = None
        of_stream: dict[int, Page] = {}
        for page in _pages_of(data, start, tail):
            last = page
            of_stream[page.serial] = page
            if page.granule >= 0 and page.end <= data.size:
                found[page.serial] = page
        cut = _cut(data, last, of_stream, tail)
        if wanted <= found.keys() or start == 0:
            break
    return found, cut


def _cut(data: Bytes, last: Page | None, of_stream: dict[int, Page], tail: bytes) -> str | None:
    if last is None:
        return None
    if phrase := stops_inside("the last page", last.position, last.end, data.size):
        return phrase
    rest = data.read(last.end, 28)
    if rest and (rest.startswith(b"OggS\0") or b"OggS".startswith(rest)):
        return f"its last {len(rest)} bytes are the start of a page"
    if any(page.open for page in of_stream.values()):
        return "its last packet continues in a page that is missing"
    return None


def _is_chained(data: Bytes, serials: set[int], last: dict[int, Page]) -> bool:
    """Whether page numbers start over, or a stream appears that was not there at the start."""
    if any(serial not in serials for serial in last):
        return True
    numbers: dict[int, int] = {}
    for step in range(1, PROBES):
        start = data.size * step // PROBES
        content = data.read(start, 8192)
        if b"OggS\0" not in content:
            content = data.read(start, MAX_PAGE_BYTES)
        at = content.find(b"OggS\0")
        page = page_at(data, start + at) if at >= 0 else None
        if page is None or page.end > data.size:
            continue
        if page.serial not in serials or page.number < numbers.get(page.serial, 0):
            return True
        numbers[page.serial] = page.number
    return any(page.number < numbers.get(serial, 0) for serial, page in last.items())
