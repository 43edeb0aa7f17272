"""The boxes of MP4, MOV and 3GP, and what the ``moov`` box declares of each track.

ISO/IEC 14496-12: 4.2 (boxes), 8.1.1 (mdat), 8.2.2 (mvhd), 8.3.2 (tkhd), 8.4.2 (mdhd), 8.4.3 (hdlr), 8.6.6 (elst), 8.5.2
and 12.2.3 (audio sample entries); QuickTime File Format, "Sound sample descriptions".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import stops_inside

MAX_BOXES = 1_000
"""Of one level."""

MAX_TABLE_BYTES = 1 << 16
"""Of a box that is read as one piece."""

FIRST_KINDS = (b"ftyp", b"moov", b"free", b"wide", b"mdat", b"skip", b"styp", b"pnot", b"sidx", b"moof")

ESSENTIAL = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"mfra", b"imda", b"prft", b"emsg")
"""Boxes whose cut shows that of the file; any other is not missed, or is no box."""

AMR = (b"samr", b"sawb")
ENCRYPTED = (b"enca", b"drms")
PCM = (b"sowt", b"twos", b"lpcm", b"in24", b"in32", b"fl32", b"fl64", b"raw ", b"NONE", b"ipcm", b"fpcm")


@dataclass(frozen=True)
class Box:
    """A box of the file: where it is, where its content starts and where it should end."""

    kind: bytes
    position: int
    start: int
    end: int


@dataclass(frozen=True)
class Track:
    """What a ``trak`` box declares; times in seconds.

    Attributes:
        empty: before its first sample, from empty edits.
        edited: length of all other edits; None without an edit list.
        pauses: its codec holds no sound in pauses.
        skipped: at the start of its media, such as an encoder's delay.
        edits_skip: an edit does not continue where the one before ends.
        edit_gap: when the first empty one after others begins.
        edit_speed: when the first one of another speed than 1 begins.
        edits: how many are not empty.
        samples: the ``moov`` box has a table of some.
        encrypted: see :class:`reelscribe.media.structure.facts.AudioTrack`.
        counts_samples: see :class:`reelscribe.media.structure.facts.AudioTrack`.
        length: of the track header; media: of the media header, or of the sample table if that holds less.
    """

    number: int = 0
    audio: bool = False
    scale: int = 0
    length: float | None = None
    media: float | None = None
    empty: float = 0.0
    edited: float | None = None
    skipped: float = 0.0
    channels: int | None = None
    microphones: bool = False
    pauses: bool = False
    edits_skip: bool = False
    edit_gap: float | None = None
    edit_speed: float | None = None
    edits: int = 0
    samples: bool = False
    counts_samples: bool = False
    encrypted: bool = False

    @property
    def end(self) -> float | None:
        if self.edited is None:
            known = [seconds for seconds in (self.length, self.media) if seconds]
            return min(known, default=None) if self.audio else self.length or self.media
        media = max(0.0, self.media - self.skipped) if self.audio and self.media else None
        shown = min(self.edited, media) if media and self.edited else self.edited or media
        return self.empty + shown if shown else self.length


@dataclass(frozen=True)
class Movie:
    """What a ``moov`` box declares."""

    tracks: tuple[Track, ...] = ()
    scale: int = 0
    fragmented: bool = False
    fragment_seconds: float | None = None
    default_durations: dict[int, int] = field(default_factory=dict)


def top_level(data: Bytes) -> tuple[list[Box], str | None]:
    """The boxes of the file, and the phrase if it ends in one; what is no box at the end is left out."""
    boxes: list[Box] = []
    position = 0
    while len(boxes) < MAX_BOXES and (box := box_at(data, position, data.size)):
        if not box.kind.isascii() or b"\0" in box.kind:
            break
        boxes.append(box)
        position = box.end
        if box.kind == b"moof":  # many may follow
            break
        if box.end > data.size:
            return boxes, cut_in(box, data.size)
    return boxes, None


def cut_in(box: Box, size: int) -> str | None:
    """The phrase if a file of ``size`` bytes ends in this box."""
    name = box.kind.decode("ascii", "replace")
    return stops_inside(f"the {name} box", box.position, box.end, size) if box.kind in ESSENTIAL else None


def box_at(data: Bytes, position: int, limit: int) -> Box | None:
    """The box at ``position``; None if there is none, or it is shorter than its own header."""
    header = data.read(position, 16)
    if len(header) < 8 or position + 8 > limit:
        return None
    length, kind = struct.unpack_from(">I4s", header)
    if length == 1:
        length = struct.unpack_from(">Q", header, 8)[0] if len(header) == 16 else 0
        return Box(kind, position, position + 16, position + length) if length >= 16 else None
    if length == 0:
        return Box(kind, position, position + 8, limit)
    return Box(kind, position, position + 8, position + length) if length >= 8 else None


def children(data: Bytes, parent: Box, skip: int = 0) -> Iterator[Box]:
    """The boxes in a box, after ``skip`` bytes of its own."""
    position, limit = parent.start + skip, min(parent.end, data.size)
    for _ in range(MAX_BOXES):
        box = box_at(data, position, limit)
        if box is None:
            return
        yield box
        position = box.end


def content(data: Bytes, box: Box) -> bytes:
    return data.read(box.start, min(box.end - box.start, MAX_TABLE_BYTES))


def read_movie(data: Bytes, moov: Box) -> Movie:
    """Raises Unreadable without a movie header."""
    scale, tracks, extends = 0, [], None
    for box in children(data, moov):
        if box.kind == b"mvhd":
            header = content(data, box)
            scale = struct.unpack_from(">I", header, 20 if header[:1] == b"\x01" else 12)[0]
        elif box.kind == b"trak":
            tracks.append(box)
        elif box.kind == b"mvex":
            extends = box
    if not scale:
        raise Unreadable
    movie = Movie(tuple(_track(data, track, scale) for track in tracks), scale)
    return movie if extends is None else _with_extends(data, extends, movie)


def _with_extends(data: Bytes, extends: Box, movie: Movie) -> Movie:
    seconds, defaults = None, {}
    for box in children(data, extends):
        values = content(data, box)
        if box.kind == b"mehd":
            seconds = _duration(values, 4, 4, movie.scale)
        elif box.kind == b"trex":
            number, _, duration = struct.unpack_from(">4x3I", values)
            defaults[number] = duration
    return Movie(movie.tracks, movie.scale, True, seconds, defaults)


def _duration(header: bytes, narrow: int, wide: int, scale: int) -> float | None:
    """A length by its offset in a version 0 or version 1 box."""
    is_wide = header[:1] == b"\x01"
    value = struct.unpack_from(">Q" if is_wide else ">I", header, wide if is_wide else narrow)[0]
    unknown = value in (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF) or not scale
    return None if unknown else value / scale


def _track(data: Bytes, trak: Box, movie_scale: int) -> Track:
    """What can be read of a track; it counts even if all of it is damaged, for ffmpeg numbers it too."""
    found: dict[bytes, Box] = {}
    try:
        for box in children(data, trak):
            found.setdefault(box.kind, box)
            if box.kind in (b"edts", b"mdia"):
                found.update((child.kind, child) for child in children(data, box))
        return _declared(data, found, movie_scale)
    except struct.error:
        return Track()


def _declared(data: Bytes, found: dict[bytes, Box], movie_scale: int) -> Track:
    track, media, handler = (
        content(data, found[kind]) if kind in found else b"" for kind in (b"tkhd", b"mdhd", b"hdlr")
    )
    audio = handler[8:12] == b"soun"
    scale = struct.unpack_from(">I", media, 20 if media[:1] == b"\x01" else 12)[0]
    edits = _edits(content(data, found[b"elst"]), movie_scale, scale) if b"elst" in found else _Edits()
    tables = _tables(data, found[b"minf"]) if b"minf" in found else {}
    sound = _sound(data, tables) if audio else _Sound()
    stated = _duration(media, 16, 24, scale)
    held = sound.units / scale if sound.units and scale else None
    return Track(
        number=struct.unpack_from(">I", track, 20 if track[:1] == b"\x01" else 12)[0],
        audio=audio,
        scale=scale,
        length=_duration(track, 20, 28, movie_scale),
        media=min((seconds for seconds in (stated, held) if seconds), default=None),
        empty=edits.empty,
        edited=edits.edited,
        skipped=edits.skipped,
        channels=sound.channels,
        microphones=sound.microphones,
        pauses=sound.pauses,
        edits_skip=edits.skip,
        edit_gap=edits.gap,
        edit_speed=edits.speed,
        edits=edits.played,
        samples=b"stts" in tables and any(content(data, tables[b"stts"])[4:8]),
        counts_samples=sound.counts_samples,
        encrypted=sound.encrypted,
    )


SHORTEST_SKIP_SECONDS = 0.1
"""Between two edits; lengths are rounded to the movie's time scale."""


NORMAL_SPEED = 1 << 16
"""As a fixed-point number of 16.16 bits."""


class _Edits(NamedTuple):
    """Seconds of empty edits at the start, of all after that, and of media that the first edit skips; see `Track`.

    ``played`` is how many are not empty.
    """

    empty: float = 0.0
    edited: float | None = None
    skipped: float = 0.0
    skip: bool = False
    gap: float | None = None
    speed: float | None = None
    played: int = 0


def _edits(table: bytes, movie_scale: int, media_scale: int) -> _Edits:
    layout = struct.Struct(">Qqi" if table[:1] == b"\x01" else ">Iii")
    count = min(struct.unpack_from(">4xI", table)[0], (len(table) - 8) // layout.size)
    rows = list(layout.iter_unpack(table[8 : 8 + count * layout.size]))
    played = [speed for length, media_time, speed in rows if media_time >= 0 and length]
    stated = any(played)  # some writers leave the speed out of all of them
    empty, edited, skipped, gap, skip, played_to, odd = 0, None, 0, None, False, None, None
    for length, media_time, speed in rows:
        if media_time < 0 and edited is None:
            empty += length
        else:
            if media_time < 0 and gap is None:
                gap = (empty + (edited or 0)) / movie_scale
            if media_time >= 0:
                jump = 0 if played_to is None else abs(media_time - played_to)
                skip = skip or jump > media_scale * SHORTEST_SKIP_SECONDS
                played_to = media_time + length * media_scale / movie_scale
                if odd is None and stated and length and speed != NORMAL_SPEED:
                    odd = (empty + (edited or 0)) / movie_scale
            skipped = media_time if edited is None else 0 if media_time < skipped else skipped
            edited = (edited or 0) + length
    whole = None if edited is None else edited / movie_scale
    delay = skipped / media_scale if media_scale else 0.0
    return _Edits(empty / movie_scale, whole, delay, skip, gap, odd, len(played))


FRAME_MULTIPLE = 32
"""Frames of all codecs with a fixed size have a multiple of so many samples; time scales are sample rates as a rule."""


class _Sound(NamedTuple):
    """What the sample table says; ``units`` is the length of its samples, 0 if unknown. See `AudioTrack`."""

    channels: int | None = None
    microphones: bool = False
    pauses: bool = False
    counts_samples: bool = False
    encrypted: bool = False
    units: int = 0


def _tables(data: Bytes, minf: Box) -> dict[bytes, Box]:
    """The boxes of the sample table."""
    table = next((box for box in children(data, minf) if box.kind == b"stbl"), None)
    return {box.kind: box for box in children(data, table)} if table else {}


def _sound(data: Bytes, found: dict[bytes, Box]) -> _Sound:
    entry = next(iter(children(data, found[b"stsd"], 8)), None) if b"stsd" in found else None
    if entry is None:
        return _Sound()
    durations = content(data, found[b"stts"]) if b"stts" in found else b""
    counts_samples = bool(durations) and _counts_samples(durations)
    units = _units(durations) if durations else 0
    version, channels = struct.unpack_from(">8xH6xH", content(data, entry))
    header = 28 + {1: 16, 2: 36}.get(version, 0)
    if version == 2:
        channels = struct.unpack_from(">40xI", content(data, entry))[0]
    inside = {box.kind for box in children(data, entry, header)}
    if entry.kind in ENCRYPTED and b"sinf" in inside:
        return _Sound(counts_samples=counts_samples, encrypted=True, units=units)
    if entry.kind == b"mp4a":  # the decoder's configuration has the channels: many writers always state 2 here
        return _Sound(counts_samples=counts_samples, units=units)
    microphones = entry.kind in PCM and channels > 2 and inside.isdisjoint((b"chan", b"chnl"))
    counts_samples = counts_samples or entry.kind in PCM
    return _Sound(channels or None, microphones, entry.kind in AMR, counts_samples, units=units)


def _units(durations: bytes) -> int:
    """Length of all samples in units of the track's time scale; 0 if the table is longer than is read."""
    count = struct.unpack_from(">4xI", durations)[0]
    if count > (len(durations) - 8) // 8:
        return 0
    return sum(samples * units for samples, units in struct.iter_unpack(">II", durations[8 : 8 + 8 * count]))


def _counts_samples(durations: bytes) -> bool:
    """Whether the most frequent duration of a frame is one of whole frames."""
    count = min(struct.unpack_from(">4xI", durations)[0], (len(durations) - 8) // 8)
    table: Iterator[tuple[int, int]] = struct.iter_unpack(">II", durations[8 : 8 + 8 * count])
    _, duration = max(table, default=(0, 1))
    return duration % FRAME_MULTIPLE == 0
