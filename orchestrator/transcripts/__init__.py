"""Stored transcripts: read, written in every format, searched and verified."""
