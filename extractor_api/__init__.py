"""The extractor: a savepath in, audio bytes out."""
