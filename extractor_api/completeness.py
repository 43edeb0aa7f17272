"""Whether all of a recording came out. ffmpeg's exit code does not tell: it is 0 for an mp4 cut in half."""

from extractor_api.ffmpeg_log import FFmpegLog

TOLERATED_SECONDS = 0.5
TOLERATED_SHARE = 0.005


def declared_seconds(
    log: FFmpegLog, track_seconds: dict[int, float], start: float = 0.0, duration: float | None = None
) -> float | None:
    """Length of the requested part as the container declares it: the track's own length, else the container's.

    Args:
        log: of the run.
        track_seconds: by stream index, from :func:`extractor_api.mp4_tracks.track_seconds`.
        start, duration: of the request, in seconds.
    """
    if log.stream_index is None or log.estimated:
        return None
    whole = track_seconds.get(log.stream_index) or log.stream_seconds.get(log.stream_index) or log.container_seconds
    if whole is None:
        return None
    if (log.container or "").startswith("matroska"):
        whole -= log.start_seconds  # Matroska declares where a track ends, not how long it is
    rest = max(0.0, whole - start)
    return min(rest, duration) if duration else rest


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
