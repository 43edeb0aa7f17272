"""The commands that look at an installation: check at what this host needs, doctor at all hosts."""
