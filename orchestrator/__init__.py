"""The orchestrator: a queue of savepaths in PostgreSQL, sent to transcribers, and their transcripts."""
