"""Every claim of speed, each with its baseline in the same run."""
