"""The orchestrator's contract, which its answers are held to."""

from orchestrator.api.routes import API
from tests.contract import Contract

TRANSCRIPTS = "/api/transcripts/"


class _Contract(Contract):
    def documented_path(self, path: str) -> str | None:
        """A savepath may hold slashes, which OpenAPI has no word for."""
        return f"{TRANSCRIPTS}{{savepath}}" if path.startswith(TRANSCRIPTS) else super().documented_path(path)


CONTRACT = _Contract(API.document())
