"""The commands for what has been transcribed: it is found, read, exported, verified and removed."""
