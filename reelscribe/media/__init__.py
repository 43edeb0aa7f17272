"""From an open recording to audio: one ffmpeg run, watched, and judged by what the recording declares."""
