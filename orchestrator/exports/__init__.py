"""Transcripts written elsewhere: files, Parquet datasets, objects of the [results] bucket."""
