"""A submission on the command line: lists of savepaths, how jobs progress, the report of what became of them,
and who was notified of that."""
