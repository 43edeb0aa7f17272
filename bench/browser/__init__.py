"""Benches of what people see in a browser."""
