"""Ogg: its pages, and chains of recordings."""
