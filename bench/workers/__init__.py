"""Workers of the queue: the work of one job, and of many workers on one PostgreSQL."""
