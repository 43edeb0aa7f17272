"""A submission on the command line: lists of savepaths, how jobs progress, and the report of what became of them."""
