"""The page of vocabularies: lists of words to expect, by the prefix of savepaths."""

from datetime import UTC, datetime

from orchestrator.jobs.vocabulary import Vocabulary
from orchestrator.page.formats import universal_time
from orchestrator.page.handler import PageHandler
from reelscribe.contracts.transcriber import MOST_WORDS

PATTERN = Vocabulary(prefix="", words=[], changed_at=datetime.fromtimestamp(0, UTC), changed_by="")
"""Of what a script shows."""


class VocabularyPage(PageHandler):
    """``GET /vocabulary``: complete without scripts; changing a list needs them."""

    page = "vocabulary"

    async def get(self) -> None:
        await self.render(
            "vocabulary.html",
            lists=await self.service.vocabularies.listed(),
            pattern=PATTERN,
            most_words=MOST_WORDS,
            universal_time=universal_time,
        )
