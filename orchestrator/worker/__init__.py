"""Takes jobs out of the queue, has them done, and decides what their end means."""
