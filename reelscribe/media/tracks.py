"""The declared length of each track, for containers that declare it track by track."""

from reelscribe.media import mp4_tracks, riff_tracks
from reelscribe.media.stored_object import StoredObject


def track_seconds(stored: StoredObject) -> dict[int, float]:
    """Declared length of each track by ffmpeg's stream index. Those of Matroska are in ffmpeg's log."""
    return mp4_tracks.track_seconds(stored) or riff_tracks.track_seconds(stored)
