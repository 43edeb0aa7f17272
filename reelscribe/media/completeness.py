"""Whether the audio of a recording is complete. ffmpeg's exit code does not say: it is 0 for an mp4 cut in half."""

from reelscribe.media.endings import ends_abruptly
from reelscribe.media.ffmpeg_log import FFmpegLog
from reelscribe.media.stored_object import StoredObject

TOLERATED_SECONDS = 0.5
TOLERATED_SHARE = 0.005

SELF_EVIDENT = ("matroska,webm", "mov,mp4", "mpegts", "ogg", "flv")
"""Demuxers of containers in which a cut can be seen at the end: see :func:`is_cut`."""


def declared_seconds(
    log: FFmpegLog, track_seconds: dict[int, float], start: float = 0.0, duration: float | None = None
) -> float | None:
    """Length of the requested part as the container declares it: the track's own length, else the container's.

    Args:
        log: of the run.
        track_seconds: by stream index, from :func:`reelscribe.media.tracks.track_seconds`.
        start, duration: of the request, in seconds.
    """
    seconds = _track_length(log, track_seconds) or _container_length(log)
    if seconds is None:
        return None
    if (log.container or "").startswith("matroska"):
        seconds -= log.start_seconds  # Matroska declares where a track ends, not how long it is
    rest = max(0.0, seconds - start)
    return min(rest, duration) if duration else rest


def _track_length(log: FFmpegLog, track_seconds: dict[int, float]) -> float | None:
    index = -1 if log.stream_index is None else log.stream_index
    return track_seconds.get(index) or log.stream_seconds.get(index)


def _container_length(log: FFmpegLog) -> float | None:
    """The container's length is that of its longest track: sound may be shorter than the picture."""
    if log.stream_index is None or log.estimated or (len(log.streams) > 1 and _self_evident(log)):
        return None
    return log.container_seconds


def _self_evident(log: FFmpegLog) -> bool:
    return (log.container or "").startswith(SELF_EVIDENT)


def is_cut(log: FFmpegLog, track_seconds: dict[int, float], stored: StoredObject) -> bool:
    """Whether a file that declares no length for the track ends in the middle of its data.

    A track with a declared length is judged by that: only the picture may be cut.
    """
    if _track_length(log, track_seconds):
        return False
    return log.ended_in_a_packet or (_self_evident(log) and ends_abruptly(stored))


def shortfall(declared: float | None, delivered: float, damaged: float) -> str | None:
    """A sentence if noticeably less audio was delivered than declared, else None.

    Args:
        declared: seconds; None if the container declares none, then only damage counts.
        delivered: seconds that were decoded.
        damaged: seconds that could not be decoded and were filled with silence.
    """
    expected = delivered + damaged if declared is None else declared
    missing = expected - delivered
    if missing <= max(TOLERATED_SECONDS, TOLERATED_SHARE * expected):
        return None
    if damaged >= missing - TOLERATED_SECONDS:
        return f"{expected:.1f} s are declared, {delivered:.1f} s were delivered: {damaged:.1f} s are damaged"
    return f"{expected:.1f} s are declared, {delivered:.1f} s were delivered: the file is cut or its header is wrong"
