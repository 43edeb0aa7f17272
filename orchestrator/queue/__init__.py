"""The queue: procrastinate on our own PostgreSQL, its order, its pauses and limits."""
