"""The commands of ``dataset``."""
