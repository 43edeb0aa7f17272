"""Requests to other services: their tokens, their failures as our own errors, and the client of the extractor."""
