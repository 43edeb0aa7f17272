"""Text that all services write the same way: running text and subtitles."""
