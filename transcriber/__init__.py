"""Machine B: savepath in, segments out as they are heard."""
