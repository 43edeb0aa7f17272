"""Machine C: a savepath in, audio bytes out."""
