"""The samples of a track: decoded, placed on the timeline of the recording, and encoded."""
