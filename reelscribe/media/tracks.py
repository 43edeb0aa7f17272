"""How long each track of a recording says it is, where its container tells that track by track."""

from reelscribe.media import mp4_tracks, riff_tracks
from reelscribe.media.stored_object import StoredObject


def track_seconds(stored: StoredObject) -> dict[int, float]:
    """Declared length of each track by ffmpeg's stream index. Matroska's come with ffmpeg's own description."""
    return mp4_tracks.track_seconds(stored) or riff_tracks.track_seconds(stored)
