"""The commands that remove something: ``delete``, ``prune`` and ``retention``."""
