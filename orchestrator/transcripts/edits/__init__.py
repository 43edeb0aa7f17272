"""Edits: a layer over the text that the model wrote, keyed by the recording and the time in it."""
