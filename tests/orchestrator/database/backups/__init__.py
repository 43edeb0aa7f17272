"""Backups, the way back, and upgrades."""
