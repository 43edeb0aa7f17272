"""Processes that read untrusted recordings: ffmpeg and our own, each in a sandbox, none left behind."""
