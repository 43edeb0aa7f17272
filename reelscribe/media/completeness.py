"""Whether the sound of a recording is complete. ffmpeg's exit code does not say: it is 0 for an mp4 cut in half."""

from reelscribe.media.structure.facts import AudioTrack, Structure

TOLERATED_SECONDS = 0.5
TOLERATED_SHARE = 0.005

MEASURED_AT_THE_END = ("ogg", "fragmented mp4", "voc", "flv", "nut")
"""Containers that declare no length in advance: theirs is where the last unit ends, and says nothing if it is cut."""


def declared_seconds(
    structure: Structure, track: AudioTrack | None, start: float = 0.0, duration: float | None = None
) -> float | None:
    """Length of the requested part as the recording declares it; None if it declares none.

    The length of a container is that of its longest track, so it counts for the sound only if the file is known to be
    cut, or if it has no other track.

    Args:
        structure: of the recording.
        track: the extracted one; None if the container does not list it.
        start, duration: of the request, in seconds.
    """
    unknown = structure.cut and structure.container in MEASURED_AT_THE_END
    seconds = track.seconds if track and not unknown else None
    if seconds is None and structure.cut and not unknown:
        seconds = structure.seconds
    return part_seconds(seconds, start, duration)


def part_seconds(seconds: float | None, start: float, duration: float | None) -> float | None:
    """How much of ``seconds`` a request for a part asks for."""
    if seconds is None:
        return None
    rest = max(0.0, seconds - start)
    return min(rest, duration) if duration else rest


def shortfall(declared: float | None, delivered: float, damaged: float) -> str | None:
    """A sentence if noticeably less audio was delivered than declared, else None.

    Args:
        declared: seconds; None if the container declares none, then only damage counts.
        delivered: seconds, without those that are damaged.
        damaged: seconds that could not be decoded and were filled with silence.
    """
    expected = delivered + damaged if declared is None else declared
    missing = expected - delivered
    if missing <= tolerated(expected):
        return None
    if declared is None:
        return f"{delivered:.1f} s were delivered, {damaged:.1f} s more are damaged"
    if damaged >= missing - TOLERATED_SECONDS:
        return f"{expected:.1f} s are declared, {delivered:.1f} s were delivered: {damaged:.1f} s are damaged"
    return f"{expected:.1f} s are declared, {delivered:.1f} s were delivered: the file is cut or its header is wrong"


def excess(declared: float | None, delivered: float, uncertain: float) -> str | None:
    """A sentence if noticeably more was delivered than declared, and so much of it is uncertain, else None.

    Sound that a header does not know of is not a loss: recordings are joined, and their headers stay. Silence that was
    added is uncertain.
    """
    if declared is None or min(delivered - declared, uncertain) <= tolerated(declared):
        return None
    return f"{declared:.1f} s are declared, {delivered:.1f} s were delivered: its timestamps or its header are wrong"


def tolerated(seconds: float) -> float:
    """How much a length may differ from the declared one."""
    return max(TOLERATED_SECONDS, TOLERATED_SHARE * seconds)
