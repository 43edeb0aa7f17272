"""The commands for those who run an installation: its services, settings, database and health."""
