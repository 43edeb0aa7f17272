"""MP4, MOV and 3GP: each track has its length and edit list.

ISO/IEC 14496-12: 8.3.2 (tkhd), 8.6.6 (elst).
"""

from reelscribe.media.structure import mp4_fragments
from reelscribe.media.structure.bounded import Bytes
from reelscribe.media.structure.facts import AudioTrack, Structure
from reelscribe.media.structure.mp4_boxes import FIRST_KINDS, Movie, read_movie, top_level


def is_mp4(head: bytes) -> bool:
    return head[4:8] in FIRST_KINDS


def read(data: Bytes) -> Structure:
    top, cut = top_level(data)
    moov = next((box for box in top if box.kind == b"moov"), None)
    if moov is None:
        return Structure("mp4", cut=cut or "it has no index (no moov box)")
    movie = read_movie(data, moov)
    return mp4_fragments.read(data, movie, top) if movie.fragmented else _of_tables(movie, cut)


def _of_tables(movie: Movie, cut: str | None) -> Structure:
    audio = [(index, track) for index, track in enumerate(movie.tracks) if track.audio]
    first = min((track.empty for track in movie.tracks), default=0.0)
    ends = [track.end - first for track in movie.tracks if track.end]
    return Structure(
        "mp4",
        tuple(
            AudioTrack(index, track.end - first if track.end else None, track.channels, track.microphones)
            for index, track in audio
        ),
        max(ends, default=None),
        cut,
        seekable=True,
    )
