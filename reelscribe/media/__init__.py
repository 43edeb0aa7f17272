"""From an open recording to audio: ffmpeg runs in a sandbox, and what comes out is judged by what was declared."""
