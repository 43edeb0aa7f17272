"""A service that listens: its connections, its requests, what it reads again, and what it counts."""
