"""The orchestrator's contract, which its answers are held to."""

import re

from orchestrator.api.routes import API
from tests.contract import Contract

OF_SAVEPATHS = (
    (r"/api/transcripts/.+/segments", "/api/transcripts/{savepath}/segments"),
    (r"/api/transcripts/.+/about", "/api/transcripts/{savepath}/about"),
    (r"/api/transcripts/.+", "/api/transcripts/{savepath}"),
    (r"/api/edits/.+/undo", "/api/edits/{savepath}/undo"),
    (r"/api/edits/.+/title", "/api/edits/{savepath}/title"),
    (r"/api/edits/.+", "/api/edits/{savepath}"),
    (r"/api/media/.+/peaks", "/api/media/{savepath}/peaks"),
    (r"/api/media/.+", "/api/media/{savepath}"),
    (r"/media/.+/file", "/media/{savepath}/file"),
    (r"/media/.+/audio", "/media/{savepath}/audio"),
)


class _Contract(Contract):
    def documented_path(self, path: str) -> str | None:
        """A savepath may hold slashes, which OpenAPI has no word for."""
        known = (documented for pattern, documented in OF_SAVEPATHS if re.fullmatch(pattern, path))
        return next(known, None) or super().documented_path(path)


CONTRACT = _Contract(API.document)
