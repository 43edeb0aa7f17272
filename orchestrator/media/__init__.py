"""Recordings as people see and hear them in a browser: how they are played, and their waveform."""
