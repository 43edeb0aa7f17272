"""Machine A: a queue of savepaths in PostgreSQL, dispatched to Machine Bs, and the transcripts they send back."""
