"""Recordings from the web into the bucket, by yt-dlp in an environment of its own."""
