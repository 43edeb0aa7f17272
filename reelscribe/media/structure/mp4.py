"""MP4, MOV and 3GP: tables with the length and edit list of each track, or fragments, the last of which say the end.

ISO/IEC 14496-12: 8.3.2 (tkhd), 8.6.6 (elst), 8.8.4 (moof), 8.8.7 (tfhd), 8.8.8 (trun), 8.8.12 (tfdt).
"""

import struct

from reelscribe.media.structure.bounded import Bytes, Unreadable
from reelscribe.media.structure.facts import AudioTrack, Structure
from reelscribe.media.structure.mp4_boxes import (
    FIRST_KINDS,
    Box,
    Movie,
    Track,
    box_at,
    children,
    content,
    cut_in,
    read_movie,
    top_level,
)

TAIL_WINDOWS = (1 << 16, 1 << 20, 4 << 20)
MAX_WALKED = 2_000
MAX_FRAGMENTS = 64
"""Read at the end: a fragment may hold one track of several."""


def is_mp4(head: bytes) -> bool:
    return head[4:8] in FIRST_KINDS


def read(data: Bytes) -> Structure:
    top, cut = top_level(data)
    moov = next((box for box in top if box.kind == b"moov"), None)
    if moov is None:
        return Structure("mp4", cut=f"it has no index (no moov box){f': {cut}' if cut else ''}")
    try:
        movie = read_movie(data, moov)
    except (Unreadable, struct.error):
        return Structure("mp4", cut=cut)
    return _of_fragments(data, movie, top) if movie.fragmented else _of_tables(movie, cut)


def _of_tables(movie: Movie, cut: str | None) -> Structure:
    audio = [(index, track) for index, track in enumerate(movie.tracks) if track.audio]
    first = min((track.empty for track in movie.tracks), default=0.0)
    ends = [track.end - first for track in movie.tracks if track.end]
    return Structure(
        "mp4",
        tuple(
            AudioTrack(
                index,
                track.end - first if track.end else None,
                track.channels,
                track.microphones,
                pauses=track.pauses,
                edits_skip=track.edits_skip,
                edit_gap=None if track.edit_gap is None else track.edit_gap - first,
                edit_speed=None if track.edit_speed is None else track.edit_speed - first,
                counts_samples=track.counts_samples,
                encrypted=track.encrypted,
            )
            for index, track in audio
        ),
        max(ends, default=None),
        cut,
        seekable=all(track.edits <= 1 for _, track in audio),  # frames overlap where edits meet
    )


def _of_fragments(data: Bytes, movie: Movie, top: list[Box]) -> Structure:
    """The structure of a file whose ``moov`` says that fragments follow."""
    first = next((box for box in top if box.kind == b"moof"), None)
    starts = _times(data, first, movie) if first else {}
    fragments, cut = _last_fragments(data, top)
    ends: dict[int, float] = {}
    for fragment in reversed(fragments):
        if len(ends) == len(movie.tracks):
            break
        for number, (_, end) in _times(data, fragment, movie).items():
            ends.setdefault(number, end)
    before = [_shown(track, 0) for track in movie.tracks if track.samples]
    begin = min((*before, *(start for start, _ in starts.values())), default=0.0)
    tracks = [(index, track, ends.get(track.number)) for index, track in enumerate(movie.tracks)]
    known = [end - begin for _, _, end in tracks if end is not None]
    return Structure(
        "fragmented mp4",
        tuple(
            AudioTrack(
                index,
                None if end is None else end - begin,
                track.channels,
                track.microphones,
                pauses=track.pauses,
                encrypted=track.encrypted,
            )
            for index, track, end in tracks
            if track.audio
        ),
        movie.fragment_seconds or max(known, default=None),
        cut,
    )


def _last_fragments(data: Bytes, top: list[Box]) -> tuple[list[Box], str | None]:
    """The last ``moof`` boxes, and the phrase if the file ends in a box."""
    for window in TAIL_WINDOWS:
        start, tail = data.tail(window)
        found = _walk_from_first(data, start, tail)
        if found:
            return found
        if start == 0:
            break
    return _walk(data, top[-1].position)


def _walk_from_first(data: Bytes, start: int, tail: bytes) -> tuple[list[Box], str | None] | None:
    """From the earliest fragment of a tail from which boxes lead to the end; None if there is no fragment in it."""
    at = tail.find(b"mfhd")
    for _ in range(MAX_FRAGMENTS):
        if at < 0:
            return None
        if tail[at - 8 : at - 4] == b"moof" and at >= 12:
            return _walk(data, start + at - 12)
        at = tail.find(b"mfhd", at + 4)
    return None


def _walk(data: Bytes, position: int) -> tuple[list[Box], str | None]:
    fragments: list[Box] = []
    for _ in range(MAX_WALKED):
        box = box_at(data, position, data.size)
        if box is None or not box.kind.isalnum():
            break
        if box.kind == b"moof":
            fragments = [*fragments[1 - MAX_FRAGMENTS :], box]
        if box.end > data.size:
            return fragments, cut_in(box, data.size)
        position = box.end
    rest = data.read(position, 16)
    begun = 0 < len(rest) < 8 and any(rest)
    return fragments, f"its last {len(rest)} bytes are the start of a box" if begun else None


def _times(data: Bytes, moof: Box, movie: Movie) -> dict[int, tuple[float, float]]:
    """First and last second of each track, by its number, that a fragment says; without ``tfdt`` it says none.

    So does one that is not complete: a table of it may end in the middle of a number.
    """
    if moof.end > data.size:
        return {}
    times = {}
    by_number = {track.number: track for track in movie.tracks}
    for traf in children(data, moof):
        if traf.kind == b"traf":
            boxes = list(children(data, traf))
            header = next((content(data, box) for box in boxes if box.kind == b"tfhd"), b"")
            number = int.from_bytes(header[4:8], "big")
            start = next((content(data, box) for box in boxes if box.kind == b"tfdt"), None)
            track = by_number.get(number)
            if track and track.scale and start:
                length = _run_units(data, boxes, header, movie.default_durations.get(number, 0))
                begin = struct.unpack_from(">4xQ" if start[:1] == b"\x01" else ">4xI", start)[0]
                times[number] = (_shown(track, begin), _shown(track, begin + length))
    return times


def _shown(track: Track, units: int) -> float:
    return track.empty + max(0.0, units / track.scale - track.skipped)


def _run_units(data: Bytes, boxes: list[Box], header: bytes, default: int) -> int:
    """Length of all samples of a track's fragment, in units of its time scale."""
    flags = int.from_bytes(header[1:4], "big")
    if flags & 0x8:
        default = struct.unpack_from(">I", header, 8 + 8 * bool(flags & 0x1) + 4 * bool(flags & 0x2))[0]
    units = 0
    for box in boxes:
        if box.kind == b"trun":
            units += _trun_units(content(data, box), default)
    return units


def _trun_units(table: bytes, default: int) -> int:
    flags, count = struct.unpack_from(">II", table)
    if not flags & 0x100:
        return int(count * default)
    width = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
    first = 8 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
    return sum(
        int.from_bytes(table[offset : offset + 4], "big")
        for offset in range(first, min(len(table), first + count * width), width)
    )
