"""Makes the samples of an item: one module for each kind of sample, and what they share."""
