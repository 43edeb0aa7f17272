"""From windows of audio to segments of text, with faster-whisper's own parts; the recogniser is the way in."""
