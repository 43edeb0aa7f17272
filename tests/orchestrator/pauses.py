"""Pauses of a worker, for tests that do not wait for them."""

import pytest

from orchestrator.worker import outages, transcriber_choice, transcription


def shorten_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transcriber that broke off, or that takes no job now, is asked again after a tenth of a second."""
    monkeypatch.setattr(outages, "pause_seconds", lambda failures: 0.1)
    for module in (transcriber_choice, transcription):
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.1)
