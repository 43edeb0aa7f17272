"""Notifying others of the end of transcriptions: signed messages, delivered at least once (Standard Webhooks)."""
