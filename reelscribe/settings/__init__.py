"""config.cfg and the environment: how they are read, and the sections of each service."""
