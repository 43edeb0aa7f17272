"""The transcriber: savepath in, segments out as they are heard."""
