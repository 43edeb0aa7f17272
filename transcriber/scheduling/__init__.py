"""Which windows go through the model next, and in which language."""
