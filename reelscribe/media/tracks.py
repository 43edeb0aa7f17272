"""To be removed with its last caller: use :func:`reelscribe.media.structure.reading.read_structure`."""

from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.reading import read_structure


def track_seconds(stored: StoredObject) -> dict[int, float]:
    """When each audio track of an MP4, WAV or AVI ends, by ffmpeg's stream index."""
    found = read_structure(stored)
    if found.container not in ("mp4", "wav", "avi"):
        return {}
    return {track.index: track.seconds for track in found.audio or () if track.seconds}
