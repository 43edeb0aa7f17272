"""Applying the rules of ``[retention]``: what is no longer kept is removed, a few recordings at a time.

Of each recording the objects that were stored go first, then its rows, and it is proved that both are gone. So a run
that is ended in the middle, however, has removed some recordings completely and left the others to the next run.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import NamedTuple

from orchestrator.database.pool import Pool
from orchestrator.errors import InUse
from orchestrator.exports.deletion import TOGETHER, Deletions
from orchestrator.jobs import retention
from orchestrator.jobs.deletion import Deleted
from orchestrator.jobs.retention import Expired, Planned
from reelscribe.errors import PeerRefused
from reelscribe.settings.retention import RetentionRule

log = logging.getLogger(__name__)

PART = 1000
"""Recordings that one statement looks through."""


class Removed(NamedTuple):
    """How far a run has come.

    Attributes:
        deleted: what was removed.
        recordings: objects among it that are recordings, by a rule that asks for it.
        kept: recordings that could not be removed now; the next run tries again.
        reason: why the last of them could not.
    """

    deleted: Deleted = Deleted()
    recordings: int = 0
    kept: int = 0
    reason: str | None = None

    def __add__(self, other: object) -> "Removed":
        assert isinstance(other, Removed)
        return Removed(
            self.deleted + other.deleted,
            self.recordings + other.recordings,
            self.kept + other.kept,
            other.reason or self.reason,
        )


class Retention:
    """The rules, and what they no longer keep.

    Args:
        share: the part of the time that a run may work; for the rest it waits between two transactions.
    """

    def __init__(self, pool: Pool, deletions: Deletions, rules: Sequence[RetentionRule], share: float = 1) -> None:
        self._pool = pool
        self._deletions = deletions
        self._rules = rules
        self._pause = 1 / share - 1
        self._judge = partial(retention.still_expired, rules=rules)
        self._is_given_up = partial(retention.is_given_up, rules=rules)

    async def plan(self) -> list[Planned]:
        """What each rule keeps and does not keep, in the order of the rules, and what is under none."""
        by_rule: dict[int | None, Planned] = {
            number: Planned(number, 0, Deleted(), 0, None, None) for number in (*range(len(self._rules)), None)
        }
        async for after, until in self._parts():
            async with self._pool.connection() as connection:
                for found in await retention.plan(connection, self._rules, after, until):
                    by_rule[found.rule] += found
        return list(by_rule.values())

    async def run(self) -> AsyncIterator[Removed]:
        """Remove what is no longer kept; yields what each transaction has removed.

        A recording that cannot be removed holds back no other one, unless the bucket does not answer at all.

        Raises:
            ServiceError: the bucket does not answer.
        """
        async for after, until in self._parts():
            async with self._pool.connection() as connection:
                found = await retention.expired(connection, self._rules, after, until)
                given_up = await retention.given_up(connection, self._rules, after, until)
            for begin in range(0, len(found), TOGETHER):
                began = time.monotonic()
                yield await self._remove([one.id for one in found[begin : begin + TOGETHER]])
                await asyncio.sleep((time.monotonic() - began) * self._pause)
            for job in given_up:
                try:
                    yield Removed(await self._deletions.delete_given_up(job, self._is_given_up))
                except InUse as busy:
                    yield Removed(kept=1, reason=busy.message)

    async def _remove(self, ids: Sequence[int]) -> Removed:
        try:
            gone, deleted = await self._deletions.delete_expired(ids, self._judge, self._with_recording)
        except (PeerRefused, InUse) as failure:
            return Removed(kept=1, reason=failure.message) if len(ids) == 1 else await self._remove_each(ids)
        for one in gone:
            log.info(
                "retention: removed %s of bucket %s, last used %s, by the rule: %s",
                *(one.savepath, one.bucket, f"{one.used_at:%Y-%m-%d %H:%M}", self._rules[one.rule]),
            )
        return Removed(deleted, sum(map(self._with_recording, gone)))

    async def _remove_each(self, ids: Sequence[int]) -> Removed:
        total = Removed()
        for id in ids:
            total += await self._remove([id])
        return total

    def _with_recording(self, one: Expired) -> bool:
        return self._rules[one.rule].with_recording

    async def _parts(self) -> AsyncIterator[tuple[int, int]]:
        after = 0
        while True:
            async with self._pool.connection() as connection:
                until = await retention.end_of_part(connection, after, PART)
            if until is None:
                return
            yield after, until
            after = until
