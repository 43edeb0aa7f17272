"""Whether all of a recording came out. ffmpeg's exit code does not tell: it is 0 for an mp4 cut in half."""

from reelscribe.media.endings import ends_abruptly
from reelscribe.media.ffmpeg_log import FFmpegLog
from reelscribe.media.stored_object import StoredObject

TOLERATED_SECONDS = 0.5
TOLERATED_SHARE = 0.005

SELF_EVIDENT = ("matroska,webm", "mov,mp4", "mpegts", "ogg", "flv")
"""Demuxers of containers in which a cut shows at the end: see :func:`is_cut`."""


def declared_seconds(
    log: FFmpegLog, track_seconds: dict[int, float], start: float = 0.0, duration: float | None = None
) -> float | None:
    """Length of the requested part as the container declares it: the track's own length, else the container's.

    Args:
        log: of the run.
        track_seconds: by stream index, from :func:`reelscribe.media.tracks.track_seconds`.
        start, duration: of the request, in seconds.
    """
    whole = _tracks_own(log, track_seconds) or _containers(log)
    if whole is None:
        return None
    if (log.container or "").startswith("matroska"):
        whole -= log.start_seconds  # Matroska declares where a track ends, not how long it is
    rest = max(0.0, whole - start)
    return min(rest, duration) if duration else rest


def _tracks_own(log: FFmpegLog, track_seconds: dict[int, float]) -> float | None:
    index = -1 if log.stream_index is None else log.stream_index
    return track_seconds.get(index) or log.stream_seconds.get(index)


def _containers(log: FFmpegLog) -> float | None:
    """The container's length is that of its longest track; it says nothing of sound beside a longer picture."""
    if log.stream_index is None or log.estimated or (len(log.streams) > 1 and _self_evident(log)):
        return None
    return log.container_seconds


def _self_evident(log: FFmpegLog) -> bool:
    return (log.container or "").startswith(SELF_EVIDENT)


def is_cut(log: FFmpegLog, track_seconds: dict[int, float], stored: StoredObject) -> bool:
    """Whether a file that declares no length of the track ends in the middle of its data.

    A track that has a length of its own is judged by that: what is cut then may be picture only.
    """
    if _tracks_own(log, track_seconds):
        return False
    return log.ended_in_a_packet or (_self_evident(log) and ends_abruptly(stored))


def shortfall(declared: float | None, delivered: float, damaged: float) -> str | None:
    """A sentence if less audio came out than was declared, beyond what rounding explains; else None.

    Args:
        declared: seconds, None if the container declares none: then only damage counts.
        delivered: seconds that were decoded.
        damaged: seconds that could not be decoded and were filled with silence.
    """
    expected = delivered + damaged if declared is None else declared
    missing = expected - delivered
    if missing <= max(TOLERATED_SECONDS, TOLERATED_SHARE * expected):
        return None
    if damaged >= missing - TOLERATED_SECONDS:
        return f"{expected:.1f} s are declared and {delivered:.1f} s came out: {damaged:.1f} s are damaged"
    return f"{expected:.1f} s are declared and {delivered:.1f} s came out: the stored file is cut or its header lies"
