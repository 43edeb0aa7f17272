"""What nobody asked for by name: objects that an event, a listing or a watched folder brings up.

They may be brought up often, late, and in any order. An object that has a job is submitted again only if it has been
replaced since: one that failed or was cancelled is never taken up by itself.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.rows import class_row

from orchestrator.database.pool import Pool
from orchestrator.intake.bucket import Objects
from orchestrator.intake.submission import Desk, Wishes
from orchestrator.jobs.models import Identity, Options, State
from reelscribe.savepath import mistake_in
from reelscribe.settings.loading import Settings

Outcomes = Counter[str]
"""How many objects were ``new``, ``changed``, ``again`` (a job that had failed), ``known`` or ``ignored``."""


class Selection:
    """Which objects are taken: those of ``[events]``, but never results of our own."""

    def __init__(self, settings: Settings) -> None:
        self.buckets = tuple(dict.fromkeys((settings.paths.bucket_name, *settings.paths.buckets)))
        self.prefixes = settings.events.prefixes or ("",)
        self._suffixes = tuple(suffix.lower() for suffix in settings.events.suffixes)
        self._results = settings.results

    def takes(self, bucket: str, savepath: str) -> bool:
        """Whether this object is to be transcribed."""
        return (
            bucket in self.buckets
            and savepath.startswith(self.prefixes)
            and self.is_recording(bucket, savepath)
            and mistake_in(savepath) is None
        )

    def is_recording(self, bucket: str, savepath: str) -> bool:
        """Whether this object has one of the suffixes, and is no transcript that ``[results]`` has stored."""
        return savepath.lower().endswith(self._suffixes) and not self._is_result(bucket, savepath)

    def _is_result(self, bucket: str, savepath: str) -> bool:
        results, endings = self._results, tuple(f".{format}" for format in self._results.formats)
        return bucket == results.bucket and savepath.startswith(results.prefix) and savepath.endswith(endings)


class _Known(NamedTuple):
    """The newest job of a savepath."""

    savepath: str
    state: State
    options: dict[str, Any]
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def given_up(self) -> bool:
        """Whether it goes on only if somebody wants it."""
        return self.state in ("failed", "cancelled")

    def may_be_behind(self, found: Identity | None) -> bool:
        """Whether the object may have been replaced since; one that is queued is yet to be heard."""
        if found and found.etag:
            return True
        return self.state != "queued" and (found is None or self.finished_at is None or self.is_behind(found))

    def is_behind(self, found: Identity) -> bool:
        """Whether the object was modified after the job had ended; where it was heard, after that had begun."""
        since = self.started_at if self.state == "done" else self.finished_at
        return bool(since and found.last_modified and found.last_modified > since)

    def leaves_open(self, found: Identity | None) -> bool:
        """Whether only the extractor can tell; of what is done, the submission asks it."""
        return self.state != "done" and (found is None or (self.finished_at is None and not found.etag))


class Intake:
    """Submits what is new or replaced.

    Args:
        selection: what is taken at all.
        objects: who knows what an object is now.
    """

    def __init__(self, pool: Pool, desk: Desk, selection: Selection, objects: Objects) -> None:
        self.selection = selection
        self._pool = pool
        self._desk = desk
        self._objects = objects

    async def take(self, bucket: str, brought: Wishes) -> Outcomes:
        """Submit what is new or replaced of up to 1000 objects.

        Args:
            brought: savepaths, each with what is known of its object. Without an etag, the extractor is asked if that
                matters.

        Raises:
            ServiceError: the extractor does not answer; objects without a job are submitted nevertheless.
        """
        taken = {savepath: found for savepath, found in brought.items() if self.selection.takes(bucket, savepath)}
        known = await self._known(bucket, list(taken))
        outcomes = Outcomes(ignored=len(brought) - len(taken))
        outcomes += await self._submit(bucket, {savepath: None for savepath in taken if savepath not in known}, {})
        behind = await self._maybe_behind(bucket, taken, known)
        outcomes["known"] += len(known) - len(behind)
        for options, wishes in _by_options(behind, known):
            outcomes += await self._submit(bucket, wishes, options)
        return outcomes

    async def _maybe_behind(self, bucket: str, taken: Wishes, known: dict[str, _Known]) -> Wishes:
        """Those to submit again: all that are done or heard, for the submission compares them, but of those given up
        only what was modified since.
        """
        maybe = {savepath: taken[savepath] for savepath, job in known.items() if job.may_be_behind(taken[savepath])}
        unclear = [savepath for savepath, found in maybe.items() if known[savepath].leaves_open(found)]
        asked = await self._objects.identities(bucket, unclear) if unclear else {}
        maybe |= {savepath: asked.get(savepath) for savepath in unclear}
        return {
            savepath: found if found and found.etag else None
            for savepath, found in maybe.items()
            if not known[savepath].given_up or (found and known[savepath].is_behind(found))
        }

    async def _submit(self, bucket: str, wishes: Wishes, options: dict[str, Any]) -> Outcomes:
        if not wishes:
            return Outcomes()
        submission = self._desk.submission(bucket, Options(**options))
        outcomes = await submission.take(wishes)
        if submission.obstacle:
            raise submission.obstacle
        return Outcomes("known" if outcome in ("done", "missing") else outcome for outcome in outcomes.values())

    async def _known(self, bucket: str, savepaths: Sequence[str]) -> dict[str, _Known]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(_Known)) as cursor:
            await cursor.execute(
                """
                select distinct on (m.savepath) m.savepath, t.state, t.options, t.started_at, t.finished_at
                from unnest(%s::text[]) as wanted (savepath)
                join media m on m.bucket = %s and m.savepath = wanted.savepath
                join transcriptions t on t.media_id = m.id and not t.superseded
                order by m.savepath, t.id desc
                """,
                (list(savepaths), bucket),
            )
            return {job.savepath: job for job in await cursor.fetchall()}


def _by_options(wishes: Wishes, known: dict[str, _Known]) -> list[tuple[dict[str, Any], dict[str, Identity | None]]]:
    """Wishes with the options that their jobs have."""
    groups: dict[str, dict[str, Identity | None]] = {}
    for savepath, found in wishes.items():
        groups.setdefault(json.dumps(known[savepath].options, sort_keys=True), {})[savepath] = found
    return [(json.loads(options), group) for options, group in groups.items()]
