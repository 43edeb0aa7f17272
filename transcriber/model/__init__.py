"""The speech model: which one, on what device, in memory or not, and the threads that may use it."""
