"""Recordings as they are played in a browser: how they are played, and their waveform."""
