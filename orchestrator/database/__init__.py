"""PostgreSQL: the way to it, the one of our own, its schema, and the locks that processes share."""
