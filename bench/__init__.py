"""Measurements behind every claim of speed or accuracy, each with its baseline in the same run."""
