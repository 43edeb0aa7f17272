"""One transcription, from its audio to its last event."""
