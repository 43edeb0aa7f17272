"""What the benches compare with: the libraries called directly, and the obvious way to write a service."""
