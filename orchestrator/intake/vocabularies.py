"""Changes of vocabularies, and new transcripts of what they concern."""

import json
from collections import defaultdict
from collections.abc import Sequence

from orchestrator.database.pool import Pool
from orchestrator.errors import ListChanged
from orchestrator.intake.submission import Submissions
from orchestrator.jobs import vocabulary
from orchestrator.jobs.models import Options, Record
from orchestrator.jobs.vocabulary import UsedList, Vocabulary, words_of
from reelscribe.contracts.transcriber import MOST_WORDS
from reelscribe.errors import BadRequest

PAGE = 1000
"""Transcripts that are looked at together."""


class Requeued(Record):
    """How many recordings are transcribed again, or would be, for their vocabulary is another one now."""

    recordings: int
    dry_run: bool


class Vocabularies:
    """Takes changes of lists."""

    def __init__(self, pool: Pool, submissions: Submissions) -> None:
        self._pool = pool
        self._submissions = submissions

    async def listed(self) -> list[Vocabulary]:
        """All lists, by prefix."""
        async with self._pool.connection() as connection:
            return await vocabulary.vocabularies(connection)

    async def put(
        self, prefix: str, words: Sequence[str], by: str, replaced: Sequence[str] | None = None
    ) -> list[Vocabulary]:
        """Replace a list, or remove it if there are no words; all lists then.

        Args:
            replaced: the words that are to be there; None: whatever they are.

        Raises:
            ListChanged: others are there.
        """
        async with self._pool.connection() as connection:
            now = await vocabulary.words_at(connection, prefix)
            if replaced is not None and list(replaced) != now:
                raise ListChanged(
                    f"the list of {prefix or 'all savepaths'} has been changed since it was read; "
                    f"now it has {', '.join(now) or 'no words'}",
                    words=now,
                )
            await vocabulary.put(connection, prefix, words, by)
            return await vocabulary.vocabularies(connection)

    async def change(self, prefix: str, add: Sequence[str], remove: Sequence[str], by: str) -> list[Vocabulary]:
        """Add words to the end of a list, or remove some; all lists then.

        Raises:
            BadRequest: it would be too long.
        """
        async with self._pool.connection() as connection:
            before = await vocabulary.words_at(connection, prefix)
            words = list(dict.fromkeys(word for word in (*before, *add) if word not in remove))
            if len(words) > MOST_WORDS:
                raise BadRequest(f"a vocabulary has {MOST_WORDS} words at most; this one would have {len(words)}")
            await vocabulary.put(connection, prefix, words, by)
            return await vocabulary.vocabularies(connection)

    async def requeue(self, prefix: str, dry_run: bool) -> Requeued:
        """Make new versions of the transcripts that were given other words than they would be now, with their options.
        What is unfinished gets the words of the moment in which it begins, and edits are kept.
        """
        lists = sorted(await self.listed(), key=lambda one: len(one.prefix), reverse=True)
        recordings: set[tuple[str, str]] = set()
        after = 0
        while True:
            async with self._pool.connection() as connection:
                page = await vocabulary.transcribed(connection, prefix, after, PAGE)
            if not page:
                return Requeued(recordings=len(recordings), dry_run=dry_run)
            after = page[-1].id
            groups: dict[tuple[str, str], list[str]] = defaultdict(list)
            for one in page:
                now = words_of(
                    UsedList(prefix=each.prefix, words=each.words)
                    for each in lists
                    if one.savepath.startswith(each.prefix)
                )
                if now != one.given:
                    groups[one.bucket, json.dumps(one.options, sort_keys=True)].append(one.savepath)
            for (bucket, options), savepaths in groups.items():
                recordings.update((bucket, savepath) for savepath in savepaths)
                if not dry_run:
                    chosen = Options.model_validate(json.loads(options), strict=False)
                    submission = self._submissions.begin(bucket, chosen, force=True)
                    await submission.take(dict.fromkeys(savepaths))
