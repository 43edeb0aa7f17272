"""Objects that an event, a listing or a watched folder reports: they are submitted without being named by a person.

They may be reported often, late, and in any order. An object that has a job is submitted again only if it has been
replaced since: one that failed or was cancelled is never retried by itself.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.database.pool import Pool
from orchestrator.intake.bucket import Objects
from orchestrator.intake.removed_objects import Delete, RemovedObjects
from orchestrator.intake.submission import Requested, Submissions
from orchestrator.intake.unfinished import control_files, has_unfinished_name
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs import removed_objects
from orchestrator.jobs.models import Options
from orchestrator.jobs.object_changes import Identity, NewestJob
from reelscribe.savepath import mistake_in
from reelscribe.settings.loading import Settings

Outcomes = Counter[str]
"""How many objects were ``new``, ``changed``, ``again`` (a job that had failed), ``known`` or ``ignored``."""


class RecordingFilter:
    """Which objects are submitted: those that ``[events]`` selects, but no unfinished files or results of our own."""

    def __init__(self, settings: Settings) -> None:
        self.buckets = tuple(dict.fromkeys((settings.paths.bucket_name, *settings.paths.buckets)))
        self.prefixes = settings.events.prefixes or ("",)
        self._suffixes = tuple(suffix.lower() for suffix in settings.events.suffixes)
        self._results = settings.results
        self._retention = settings.retention

    def takes(self, bucket: str, savepath: str) -> bool:
        """Whether this object is to be transcribed."""
        return (
            bucket in self.buckets
            and savepath.startswith(self.prefixes)
            and self.is_recording(bucket, savepath)
            and mistake_in(savepath) is None
        )

    def is_recording(self, bucket: str, savepath: str) -> bool:
        """Whether this object has one of the suffixes, and neither the name of an unfinished file nor of what
        ``[results]`` has stored.
        """
        return (
            savepath.lower().endswith(self._suffixes)
            and not has_unfinished_name(savepath)
            and not self._is_result(bucket, savepath)
        )

    def is_expired(self, savepath: str, found: Identity | None) -> bool:
        """Whether this object is older than ``[retention]`` keeps what is known of it: transcribed again after it was
        removed, it would be removed and transcribed again and again.
        """
        rule = self._retention.rule_of(savepath)
        if not (rule and rule.keep and found and found.last_modified):
            return False
        return found.last_modified < datetime.now(UTC) - rule.keep

    def _is_result(self, bucket: str, savepath: str) -> bool:
        results, endings = self._results, tuple(f".{format.ending}" for format in self._results.formats)
        if any(bucket == place and savepath.startswith(folder) for place, folder in results.media.values()):
            return True
        return bucket == results.bucket and savepath.startswith(results.prefix) and savepath.endswith(endings)


class EventIntake:
    """Submits what is new or replaced.

    Args:
        selection: what is submitted at all.
        objects: knows what an object is now.
        delete: forgets recordings that are gone; None: they are kept.

    Attributes:
        removed: takes what is reported as gone.
    """

    def __init__(
        self,
        pool: Pool,
        submissions: Submissions,
        selection: RecordingFilter,
        objects: Objects,
        delete: Delete | None = None,
    ) -> None:
        self.selection = selection
        self.removed = RemovedObjects(pool, objects, delete)
        self._pool = pool
        self._submissions = submissions
        self._objects = objects

    async def take(self, bucket: str, reported: Requested) -> Outcomes:
        """Submit what is new or replaced of up to 1000 objects.

        Args:
            reported: savepaths, each with what is known of its object. Without an etag, the extractor is asked if that
                matters.

        Raises:
            ServiceError: the extractor does not answer; objects without a job are submitted nevertheless.
        """
        selected = {
            savepath: found
            for savepath, found in reported.items()
            if self.selection.takes(bucket, savepath) and not any(name in reported for name in control_files(savepath))
        }
        known = await self._known(bucket, list(selected))
        new = {
            savepath: None
            for savepath, found in selected.items()
            if savepath not in known and not self.selection.is_expired(savepath, found)
        }
        outcomes = Outcomes(ignored=len(reported) - len(known) - len(new))
        outcomes += await self._submit(bucket, new, {})
        outdated = await self._maybe_outdated(bucket, selected, known)
        outcomes["known"] += len(known) - len(outdated)
        for options, requested in _by_options(outdated, known):
            outcomes += await self._submit(bucket, requested, options)
        return outcomes

    async def _maybe_outdated(self, bucket: str, selected: Requested, known: dict[str, NewestJob]) -> Requested:
        """Those to submit again: all that are done or running, for the submission compares them, but of those given up
        only what was modified since.
        """
        maybe = {
            savepath: selected[savepath] for savepath, job in known.items() if job.may_be_outdated(selected[savepath])
        }
        unclear = [savepath for savepath, found in maybe.items() if known[savepath].is_unclear(found)]
        asked = await self._objects.identities(bucket, unclear) if unclear else {}
        maybe |= {savepath: asked.get(savepath) for savepath in unclear}
        return {
            savepath: found if found and found.etag else None
            for savepath, found in maybe.items()
            if not known[savepath].given_up or (found and known[savepath].is_outdated(found))
        }

    async def _submit(self, bucket: str, requested: Requested, options: dict[str, Any]) -> Outcomes:
        if not requested:
            return Outcomes()
        submission = self._submissions.begin(bucket, Options(**options))
        outcomes = await submission.take(requested)
        if submission.unavailable_reason:
            raise submission.unavailable_reason
        return Outcomes("known" if outcome in ("done", "missing") else outcome for outcome in outcomes.values())

    async def _known(self, bucket: str, savepaths: Sequence[str]) -> dict[str, NewestJob]:
        async with self._pool.connection() as connection:
            await removed_objects.unmark(connection, bucket, savepaths)
            return await job_queries.newest_jobs(connection, bucket, savepaths)


def _by_options(
    requested: Requested, known: dict[str, NewestJob]
) -> list[tuple[dict[str, Any], dict[str, Identity | None]]]:
    """Requested savepaths, grouped by the options that their jobs have."""
    groups: dict[str, dict[str, Identity | None]] = {}
    for savepath, found in requested.items():
        groups.setdefault(json.dumps(known[savepath].options, sort_keys=True), {})[savepath] = found
    return [(json.loads(options), group) for options, group in groups.items()]
